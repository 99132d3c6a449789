"""Data for tests of the report's page: names, an area estimate, a report, and smooth random images."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio import Affine

from seg.evaluation.pairs import Inputs

HOSTILE = 'a<b>&"c</script>'.replace("/", "\N{DIVISION SLASH}")
"""Valid file name that would be HTML markup if it were not escaped."""

NORTH = (300, 280)

ESTIMATE = {"value": 21158.2, "standard_error": 754.1, "low": 19680.2, "high": 22636.3}
SHARE = {"value": 0.93, "standard_error": 0.012, "low": 0.905, "high": 0.954}
AREA: dict[str, Any] = {
    "map": {"path": "maps/north.tif", "sha256": "0" * 64},
    "pixel_count": {"cropland_ha": 22353.0, "other_ha": 67647.0},
    "strata": [
        {"name": "cropland", "area_ha": 22353.0, "weight": 0.2484, "samples": 215},
        {"name": "other", "area_ha": 67647.0, "weight": 0.7516, "samples": 425},
    ],
    "samples": 640,
    "confidence": 0.95,
    "classes": [
        {"name": name, "area_ha": ESTIMATE, "users_accuracy": SHARE, "producers_accuracy": SHARE}
        for name in ("cropland", "other")
    ],
    "overall_accuracy": SHARE,
    "confusion": [[189, 26], [14, 411]],
    "error_matrix_proportions": [[0.2184, 0.03], [0.0248, 0.7268]],
}


@dataclass(frozen=True)
class Report:
    """A report of `evaluate`, with its inputs."""

    folder: Path
    inputs: Inputs
    prediction: np.ndarray
    reference: np.ndarray

    @property
    def accuracy(self) -> dict[str, Any]:
        return json.loads((self.folder / "accuracy.json").read_text(encoding="utf-8"))

    @property
    def html(self) -> str:
        return (self.folder / "index.html").read_text(encoding="utf-8")

    @property
    def url(self) -> str:
        return (self.folder / "index.html").as_uri()


def blobs(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Smooth random image, 0 to 1; random cells of 20 pixels are averaged over their neighbourhood."""
    cells = np.random.default_rng(seed).random((shape[0] // 20 + 2, shape[1] // 20 + 2))
    fine = np.kron(cells, np.ones((20, 20)))
    smooth = (fine[10:-10, 10:-10] + fine[20:, 20:] + fine[:-20, 20:]) / 3
    return smooth[: shape[0], : shape[1]]


def write_raster(path: Path, pixels: npt.NDArray[np.generic], **profile: object) -> None:
    """Write (H, W) or (C, H, W) pixels of 10 m in UTM zone 33."""
    layers = pixels[None] if pixels.ndim == 2 else pixels
    path.parent.mkdir(exist_ok=True)
    count, height, width = layers.shape
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    shape = {"count": count, "height": height, "width": width, "dtype": layers.dtype}
    with rasterio.open(path, "w", driver="GTiff", **(place | shape | profile)) as dataset:
        dataset.write(layers)
