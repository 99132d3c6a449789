from pathlib import Path

import pytest

from support.packages import write_tiny_package


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Package of a tiny network for 3 bands at 10 m, with band means of 100."""
    return write_tiny_package(tmp_path_factory.mktemp("models") / "tiny")
