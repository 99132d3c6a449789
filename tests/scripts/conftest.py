from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from seg.entry import prepare
from support.packages import write_tiny_package


@pytest.fixture(scope="session")
def main() -> Callable[[Sequence[str]], int]:
    """Function that runs the command `prepare` with words of a command line and returns its exit status."""
    return prepare.main


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Package of a tiny network for 3 bands at 10 m."""
    return write_tiny_package(tmp_path_factory.mktemp("models") / "tiny")
