from collections.abc import Callable
from pathlib import Path

import pytest

from support.planted_dataset import PlantedDataset, clean_dataset


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path], write_raster: Callable[..., Path]) -> PlantedDataset:
    """A clean dataset of four scenes."""
    return clean_dataset(tmp_path / "fields", make_dataset, write_raster)
