"""Synthetic ground truth, a map with errors, and references for sample points from the truth."""

from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pyogrio

from support.commands import Ran, run_command

WriteRaster = Callable[..., Path]

HEIGHT, WIDTH = 120, 150


def true_classes() -> np.ndarray:
    """(120, 150) uint8 fields of 10 x 10 pixels, 40 % of them cropland."""
    fields = np.random.default_rng(3).random((HEIGHT // 10, WIDTH // 10)) < 0.4
    return fields.repeat(10, 0).repeat(10, 1).astype(np.uint8)


def write_map(write_raster: WriteRaster, path: Path) -> Path:
    """Write a map that misses a fifth of the cropland."""
    truth = true_classes()
    missed = np.random.default_rng(4).random(truth.shape) < 0.2
    return write_raster(path, np.where(missed, 0, truth).astype(np.uint8), nodata=255)


def evaluate(subcommand: str, **options: object) -> Ran:
    """Run `evaluate("area", points=..., output=...)`."""
    return run_command(f"evaluate {subcommand}", *(f"--{key.replace('_', '-')}={options[key]}" for key in options))


def draw_sample(**options: object) -> Path:
    """Draw points from map.tif in the current folder, without references."""
    status, _, err = evaluate("sample", prediction="map.tif", output="points.gpkg", **options)
    assert (status, err) == (0, "")
    return Path("points.gpkg")


def interpret(points: Path, truth: np.ndarray, output: Path | None = None) -> geopandas.GeoDataFrame:
    """Fill in the references as an interpreter would, and write the points to the same file or another one."""
    frame = geopandas.read_file(points, layer="points")
    frame["reference"] = [str(value) for value in truth[frame["row"], frame["column"]]]
    if output is not None and output.suffix == ".csv":
        frame.drop(columns="geometry").to_csv(output, index=False)
    else:
        options = {"OVERWRITE": "YES"} if output is None else {}
        pyogrio.write_dataframe(frame, output or points, layer="points", layer_options=options)
    return frame
