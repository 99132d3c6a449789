"""A clean dataset, into which tests plant defects."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio import Affine

SIZES = ((16, 16), (20, 13), (9, 24), (17, 18))
FOLD_OF = (0, 1, 2, 0)
FOLDS = 3


@dataclass(frozen=True)
class PlantedDataset:
    """Four scenes side by side, and methods to change them. The first and the last scene are in the same fold.

    The folds are stored in a manifest, so that a defect does not move scenes into other folds.
    """

    root: Path
    write_raster: Callable[..., Path]

    def image(self, number: int) -> Path:
        return self.root / "images" / f"scene_{number}.tif"

    def mask(self, number: int) -> Path:
        return self.root / "masks" / f"scene_{number}.tif"

    def read(self, path: Path) -> np.ndarray:
        """Stored pixels, (C, H, W)."""
        with rasterio.open(path) as dataset:
            pixels: np.ndarray = dataset.read()
        return pixels

    def rewrite(self, path: Path, pixels: np.ndarray | None = None, **profile: object) -> None:
        """Rewrite a raster with other pixels or another profile."""
        with rasterio.open(path) as dataset:
            old = {"crs": dataset.crs, "transform": dataset.transform, "nodata": dataset.nodata}
        pixels = self.read(path) if pixels is None else pixels
        path.unlink()
        self.write_raster(path, pixels, **(old | profile))

    def move(self, number: int, columns: float, scale: float = 1) -> None:
        """Move a scene to `columns` pixels east of the first scene, and scale its pixel size."""
        with rasterio.open(self.image(0)) as first:
            transform = first.transform @ Affine.translation(columns, 0) @ Affine.scale(scale)
        for path in (self.image(number), self.mask(number)):
            self.rewrite(path, transform=transform)

    def fill_mask(self, number: int, value: int) -> None:
        """Set all pixels of a mask to a value."""
        self.rewrite(self.mask(number), np.full_like(self.read(self.mask(number)), value))

    def list_scenes(self, rows: list[tuple[str, str, object]]) -> None:
        """Write the manifest."""
        with (self.root / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("image", "mask", "fold"), *rows])

    def rows(self) -> list[tuple[str, str, object]]:
        """Rows of the clean manifest."""
        names = [f"scene_{number}.tif" for number in range(len(SIZES))]
        return [(f"images/{name}", f"masks/{name}", fold) for name, fold in zip(names, FOLD_OF, strict=True)]


def clean_dataset(root: Path, make_dataset: Callable[..., Path], write_raster: Callable[..., Path]) -> PlantedDataset:
    """A new clean dataset: uint16 with nodata 0, three bands, both classes in each scene."""
    dataset = PlantedDataset(make_dataset(root, sizes=SIZES), write_raster)
    dataset.list_scenes(dataset.rows())
    return dataset
