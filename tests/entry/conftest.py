from collections.abc import Callable
from pathlib import Path

import pytest

from support.packages import write_tiny_package
from support.processes import Processes
from support.world import make_world


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Package of a tiny network for 3 bands at 10 m, with band means of 100."""
    return write_tiny_package(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    write_raster: Callable[..., Path],
    make_dataset: Callable[..., Path],
    processes: Processes,
) -> Path:
    """A folder with small valid inputs of every command (see `support.world`)."""
    return make_world(tmp_path_factory.mktemp("world"), write_raster, make_dataset, processes)
