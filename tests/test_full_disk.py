"""If the disk is full while a command writes, one line names the file, and no unfinished file remains."""

from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from support.commands import assert_mistake, run_command
from support.disk_limits import no_file_longer_than
from support.training import write_config

SIDE = 96


@pytest.fixture(scope="module")
def inputs(
    tmp_path_factory: pytest.TempPathFactory, write_raster: Callable[..., Path], make_dataset: Callable[..., Path]
) -> Path:
    """A folder with two maps, bands, polygons, a dataset and the configuration of a training on it."""
    folder = tmp_path_factory.mktemp("inputs")
    noise = np.random.default_rng(0).integers(0, 2, (2, SIDE, SIDE), dtype=np.uint8)
    for name, pixels in zip(("map", "mask"), noise, strict=True):
        write_raster(folder / f"{name}.tif", pixels, nodata=255)
        write_raster(folder / "bands" / f"{name}.tif", pixels)
    fields = [shapely.box(500_000, 4_999_800, 500_150, 5_000_000)]
    geopandas.GeoDataFrame({"id": [1]}, geometry=fields, crs="EPSG:32633").to_file(folder / "labels.gpkg")
    write_config(folder, make_dataset)
    return folder


EVALUATE = "evaluate --prediction {inputs}/map.tif --reference {inputs}/mask.tif --bootstrap=2 --output {output}/report"
CHANGE = "evaluate change --before {inputs}/map.tif --after {inputs}/mask.tif --output {output}/change"
POLYGONS = "polygons --input {inputs}/map.tif --output {output}/p"
BURN = "prepare burn --labels {inputs}/labels.gpkg --output {output}/burnt"
SPLIT = (
    "prepare split --input {inputs}/data --output {output}/split --by=blocks --folds=2 --block-size-m=80 --guard-m=10"
)
CHECK = "prepare check --input {inputs}/data"


@pytest.mark.parametrize(
    ("command", "size", "named"),
    [
        (EVALUATE, 10, "report/accuracy.json"),
        (EVALUATE, 8_000, "report/picture.png"),
        (EVALUATE, 40_000, "report/index.html"),
        (
            "evaluate sample --prediction {inputs}/map.tif --points=50 --output {output}/points.gpkg",
            30_000,
            "points.gpkg",
        ),
        (CHANGE, 10, "change/change.tif"),
        (CHANGE, 2_000, "change/change.tif"),
        (f"{POLYGONS}.gpkg", 9_000, "p.gpkg"),
        (f"{POLYGONS}.parquet", 9_000, "p"),
        (f"{POLYGONS}.geojson", 9_000, "p"),
        (f"{BURN}.tif --image {{inputs}}/map.tif", 10, "burnt.tif"),
        (f"{BURN} --image {{inputs}}/bands", 10, "burnt/map.tif"),
        ("prepare stack --input {inputs}/bands --output {output}/stack.vrt", 10, "stack.vrt"),
        (SPLIT, 10, "split"),
        ("prepare demo --output {output}/demo", 10, "demo/scene.tif"),
        (f"{CHECK} --output {{output}}/check.json", 10, "check.json"),
        (f"{CHECK} --sheet {{output}}/sheet.png", 2_000, "sheet.png"),
        ("train fit --config {inputs}/config.yaml --trainer.default_root_dir={output}/run", 10, "run"),
        ("train fit --config {inputs}/config.yaml --trainer.default_root_dir={output}/run", 12_000, "best.ckpt"),
    ],
)
def test_a_full_disk_gives_one_line_that_names_the_file(
    inputs: Path, tmp_path: Path, command: str, size: int, named: str
) -> None:
    name, *options = command.format(inputs=inputs, output=tmp_path).split(" --")
    with no_file_longer_than(size):
        ran = run_command(name, *(word for option in options for word in f"--{option}".split(" ")))
    said = "".join(line for line in ran.err.splitlines(keepends=True) if not line.startswith("note: "))
    assert_mistake(ran._replace(out="", err=said), f"{tmp_path}", named, "cannot be written")
    if not named.startswith(("run", "best", "burnt/")):
        # Only folders that were made for the output are left, and they are empty.
        assert [path.name for path in tmp_path.rglob("*")] in ([], ["split"], ["report"], ["area"], ["change"])
