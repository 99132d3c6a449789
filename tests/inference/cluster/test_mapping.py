from functools import partial
from pathlib import Path

import numpy as np
import pytest

from seg.errors import RasterError
from seg.evaluation.accuracy import measure_accuracy
from seg.evaluation.pairs import Inputs, find_pairs
from seg.evaluation.settings import EvaluationSettings
from seg.inference.cluster.mapping import FileMapper, map_files
from seg.inference.cluster.settings import ClusterSettings
from support.cluster import DaskProcesses
from support.commands import assert_mistake, run_command


def length_of(path: Path, unit: int) -> int:
    """Size of a file in units."""
    if not path.read_bytes():
        raise RasterError(f"{path}: is empty")
    return len(path.read_bytes()) // unit


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Files of 0 to 5 bytes."""
    paths = [tmp_path / f"{size}.bin" for size in range(6)]
    for size, path in enumerate(paths):
        path.write_bytes(bytes(size))
    return paths


def test_results_are_in_the_order_of_the_files_and_an_error_stops_no_other_file(files: list[Path]) -> None:
    found = [*map_files(partial(length_of, unit=1), files, ClusterSettings())]
    assert found[1:] == [1, 2, 3, 4, 5]
    assert isinstance(found[0], RasterError)


def test_a_cluster_for_a_single_map_is_refused(tmp_path: Path) -> None:
    ran = run_command("polygons", f"--input={tmp_path / 'a.tif'}", "--output=a.gpkg", "--cluster=local:2")
    assert_mistake(ran, "--cluster is local:2", "many maps")


def test_a_cluster_writes_the_parcels_of_many_maps_and_reports_a_damaged_one(
    cluster: DaskProcesses, tmp_path: Path, write_raster: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(write_raster)
    pixels = np.zeros((20, 20), dtype=np.uint8)
    pixels[2:8, 2:8] = 1
    for name in ("a.tif", "b.tif", "a_probability.tif"):
        write_raster(tmp_path / "maps" / name, pixels, nodata=255)
    (tmp_path / "maps" / "c.tif").write_bytes(b"no raster")
    monkeypatch.chdir(tmp_path)
    words = ("--input=maps", "--output=parcels", "--threads=1", f"--cluster={cluster.address}")
    ran = run_command("polygons", *words)
    assert ran.status == 1, ran
    assert [line for line in ran.out.splitlines() if "ha" in line and ":" in line] == [
        "parcels/a.gpkg: 1 parcel, 0.36 ha",
        "parcels/b.gpkg: 1 parcel, 0.36 ha",
    ]
    assert "failed: maps/c.tif: " in ran.err
    assert sorted(path.name for path in (tmp_path / "parcels").iterdir()) == ["a.gpkg", "b.gpkg"]


def test_scores_of_a_cluster_equal_scores_of_one_process(
    cluster: DaskProcesses, tmp_path: Path, write_raster: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(write_raster)
    random = np.random.default_rng(0)
    for folder in ("maps", "masks"):
        for name in ("a.tif", "b.tif"):
            write_raster(tmp_path / folder / name, random.integers(0, 2, (40, 30), dtype=np.uint8), nodata=255)
    monkeypatch.chdir(tmp_path)
    pairs = find_pairs(Inputs(prediction=Path("maps"), reference=Path("masks"))).pairs
    settings = EvaluationSettings(bootstrap=0)
    with FileMapper(ClusterSettings(cluster=cluster.address)) as over:
        found, wanted = measure_accuracy(pairs, settings, over), measure_accuracy(pairs, settings)
    assert [scene.pair for scene in found.scenes] == [scene.pair for scene in wanted.scenes]
    assert (found.counts, found.parcels) == (wanted.counts, wanted.parcels)
