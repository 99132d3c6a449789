"""Small image, labels and command for the tests of `prepare.py burn`.

The image has 20x30 pixels of 10 m. Its upper left corner is at 500000 E, 5000000 N in EPSG:32633.
"""

from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio import Affine

from seg.labels import CROPLAND, OTHER
from support.commands import Ran, assert_mistake, run_command

UTM_33N = "EPSG:32633"
HEIGHT, WIDTH = 20, 30

Run = Callable[..., tuple[int, str, str]]
Labels = Callable[..., Path]
MaskOf = Callable[..., NDArray[np.uint8]]


def field(left: float, top: float, right: float, bottom: float) -> shapely.Polygon:
    """Rectangle in EPSG:32633, given in pixels."""
    return shapely.box(500_000 + 10 * left, 5_000_000 - 10 * bottom, 500_000 + 10 * right, 5_000_000 - 10 * top)


FIELDS = [field(2, 2, 10, 10), field(10, 2, 20, 10), field(2, 12, 20, 18)]


def drawn(*squares: tuple[int, tuple[int, int, int, int]], outside: int = OTHER) -> NDArray[np.uint8]:
    """Mask with labels in rectangles (left, top, right, bottom); later rectangles cover earlier ones."""
    mask = np.full((HEIGHT, WIDTH), outside, dtype=np.uint8)
    for label, (left, top, right, bottom) in squares:
        mask[top:bottom, left:right] = label
    return mask


ALL = drawn((CROPLAND, (2, 2, 20, 10)), (CROPLAND, (2, 12, 20, 18)))
"""Mask of FIELDS."""


def burn(image: Path, labels: Path, output: Path, *options: object) -> Ran:
    """Run `prepare burn`."""
    return run_command("prepare burn", "--image", image, "--labels", labels, "--output", output, *options)


def write_image(folder: Path) -> Path:
    """Write the image, and return its path."""
    place = {"crs": UTM_33N, "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    shape = {"count": 1, "height": HEIGHT, "width": WIDTH, "dtype": "uint16"}
    with rasterio.open(folder / "image.tif", "w", driver="GTiff", **place, **shape) as dataset:
        dataset.write(np.ones((1, HEIGHT, WIDTH), dtype=np.uint16))
    return folder / "image.tif"


def write_labels(
    folder: Path, shapes: object = FIELDS, name: str = "labels.gpkg", to: object = None, **columns: object
) -> Path:
    """Reproject shapes from EPSG:32633 to the CRS `to`, and write them to a vector file."""
    frame = geopandas.GeoDataFrame(columns, geometry=list(shapes), crs=UTM_33N)  # type: ignore[call-overload]
    frame = frame if to is None else frame.to_crs(to)
    path = folder / name
    frame.to_parquet(path) if path.suffix == ".parquet" else pyogrio.write_dataframe(frame, path)
    return path


def burnt_mask(image: Path, labels: Path, *options: object) -> NDArray[np.uint8]:
    """Pixels of the mask that `burn` writes; checks that standard error is empty."""
    output = image.with_name("mask.tif")
    status, _, err = burn(image, labels, output, *options)
    assert (status, err) == (0, "")
    with rasterio.open(output) as dataset:
        pixels: NDArray[np.uint8] = dataset.read(1)
    return pixels


def refused(image: Path, labels: Path, output: Path, *options: object) -> str:
    """The line that a run prints on standard error; checks that it is the only line and that no file is written."""
    before = sorted(output.parent.rglob("*"))
    ran = burn(image, labels, output, *options)
    assert_mistake(ran)
    assert sorted(output.parent.rglob("*")) == before
    return ran.err
