from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio
from rasterio import Affine
from rasterio.crs import CRS

MakeDataset = Callable[..., Path]
Move = Callable[[Path, str, Affine], None]


@pytest.fixture
def move() -> Move:
    """Function `move(root, "scene_0.tif", transform)` that moves a scene and its mask, in EPSG:32633."""

    def to(root: Path, name: str, transform: Affine) -> None:
        for folder in ("images", "masks"):
            with rasterio.open(root / folder / name, "r+") as dataset:
                dataset.transform, dataset.crs = transform, CRS.from_epsg(32633)

    return to


@pytest.fixture
def apart(make_dataset: MakeDataset, move: Move, tmp_path: Path) -> Path:
    """Ten scenes at distances of 5 km."""
    root = make_dataset(tmp_path / "data", sizes=[(8, 8 + 4 * (number % 3)) for number in range(10)])
    for number in range(10):
        move(root, f"scene_{number}.tif", Affine(10, 0, 500_000 + 5000 * number, 0, -10, 5_000_000))
    return root


@pytest.fixture
def large(make_dataset: MakeDataset, move: Move, tmp_path: Path) -> Path:
    """A scene of 100 by 90 pixels of 10 m, and a smaller scene over its lower right corner."""
    root = make_dataset(tmp_path / "data", sizes=[(100, 90), (40, 40)])
    move(root, "scene_1.tif", Affine(10, 0, 500_600, 0, -10, 4_999_300))
    return root
