"""Prediction on real schedulers and workers, on the loopback device."""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio

from seg.package.screener import add_screener
from seg.raster.writing.block_store import partial_folder
from support.cluster import DaskProcesses
from support.commands import Ran, run_command
from support.scenes import write_scene
from support.screeners import green_screener, write_half_green

BLOCKS = ("--block-size=64", "--halo=16", "--threads=1")
SIZES = {"a.tif": (300, 340), "b.tif": (200, 500), "c.tif": (64, 64)}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three scenes."""
    folder = tmp_path_factory.mktemp("scenes")
    for name, size in SIZES.items():
        write_scene(folder / name, *size, nodata=0)
    return folder


@pytest.fixture(scope="module")
def alone(onnx_package: Path, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Maps of the scenes, as one process writes them."""
    folder = tmp_path_factory.mktemp("alone")
    assert predict(onnx_package, scenes, folder).status == 0
    return contents(folder)


def predict(model: Path, scenes: Path, output: Path, *words: str) -> Ran:
    return run_command("predict", f"--model={model}", f"--input={scenes}", f"--output={output}", *BLOCKS, *words)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_maps_of_a_cluster_have_the_same_bytes_as_maps_of_one_process(
    cluster: DaskProcesses, onnx_package: Path, scenes: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    report = tmp_path / "cluster.json"
    maps = tmp_path / "maps"
    ran = predict(onnx_package, scenes, maps, f"--cluster={cluster.address}", f"--cluster-report={report}")
    assert (ran.status, ran.err) == (0, ""), cluster.log()
    assert contents(maps) == alone
    counts = json.loads(report.read_text())
    assert (counts["blocks"], counts["threads"], len(counts["workers"])) == (30 + 32 + 1, 1, 2)
    kept = predict(onnx_package, scenes, maps, f"--cluster={cluster.address}")
    assert (kept.status, kept.out.count(": kept, since")) == (0, 3)
    assert contents(maps) == alone


def test_a_damaged_tile_fails_only_its_own_scene_after_three_tries(
    cluster: DaskProcesses, onnx_package: Path, scenes: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "scenes"
    folder.mkdir()
    damaged = write_scene(
        folder / "d.tif", 256, 256, nodata=0, tiled=True, blockxsize=64, blockysize=64, compress="LZW"
    )
    content = bytearray(damaged.read_bytes())
    content[-2000:-1000] = bytes(1000)
    damaged.write_bytes(content)
    (folder / "c.tif").write_bytes((scenes / "c.tif").read_bytes())
    maps = tmp_path / "maps"
    ran = predict(onnx_package, folder, maps, f"--cluster={cluster.address}")
    assert ran.status == 1, ran
    [line] = [line for line in ran.err.splitlines() if line.startswith("failed: ")]
    assert "d.tif" in line
    assert "failed three times" in line
    assert "Traceback" not in ran.err
    assert {path.name for path in maps.iterdir()} == {"c.tif", "c_probability.tif", "d.tif.partial"}
    kept = len([*partial_folder(maps / "d.tif").glob("*.npy")])
    assert 0 < kept < 16


@pytest.mark.parametrize("size", [4_000, 30_000], ids=["for a block", "for a map"])
def test_a_full_disk_ends_a_run_with_one_line_and_the_run_continues(
    cluster: DaskProcesses, onnx_package: Path, scenes: Path, alone: dict[str, bytes], tmp_path: Path, size: int
) -> None:
    output = tmp_path / "maps" / "b.tif"
    output.parent.mkdir()
    with cluster.no_file_longer_than(size):
        full = predict(onnx_package, scenes / "b.tif", output, f"--cluster={cluster.address}")
    assert full.status == 2, full
    assert re.fullmatch(rf"error: {output.parent}/b\S*: cannot be written .*\n", full.err), full.err
    kept = len([*partial_folder(output).glob("*.npy")])
    assert kept == 32 or size < 8_000
    again = predict(onnx_package, scenes / "b.tif", output, f"--cluster={cluster.address}")
    assert (again.status, again.err) == (0, ""), again
    assert f"{kept} of 32 blocks already done" in again.out or not kept
    assert contents(output.parent) == {name: alone[name] for name in ("b.tif", "b_probability.tif")}


def test_maps_are_the_same_if_a_worker_is_killed(
    cluster: DaskProcesses, onnx_package: Path, scenes: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    maps = tmp_path / "maps"

    def kill() -> None:
        wait_for(lambda: any(maps.glob("*.partial/*.npy")))
        cluster.kill_worker(0)

    killer = threading.Thread(target=kill)
    killer.start()
    report = tmp_path / "cluster.json"
    ran = predict(onnx_package, scenes, maps, f"--cluster={cluster.address}", f"--cluster-report={report}")
    killer.join()
    assert (ran.status, ran.err) == (0, ""), cluster.log()
    assert contents(maps) == alone
    assert json.loads(report.read_text())["lost_workers"] == 1


def wait_for(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_screened_maps_of_a_cluster_have_the_same_bytes_too(
    cluster: DaskProcesses, onnx_package: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(onnx_package, model)
    add_screener(model, green_screener())
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    scene = write_half_green(scenes / "a.tif", 300, 340, (slice(0, 150), slice(0, 200)))
    with rasterio.open(scene, "r+") as dataset:
        dataset.descriptions = ("", "", "")
    alone = predict(model, scenes, tmp_path / "alone", "--screen=true")
    ran = predict(model, scenes, tmp_path / "maps", "--screen=true", f"--cluster={cluster.address}")
    assert (ran.status, ran.err) == (0, ""), cluster.log()
    assert contents(tmp_path / "maps") == contents(tmp_path / "alone")
    [line] = [line for line in ran.out.splitlines() if "screened as other" in line]
    [same] = [line for line in alone.out.splitlines() if "screened as other" in line]
    assert line.partition(";")[2] == same.partition(";")[2]
