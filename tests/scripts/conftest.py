from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from seg.models.build import build_model
from seg.package.checkpoint import Checkpoint
from seg.package.write import write_package
from support.networks import TINY_NETWORK
from support.project import load_script


@pytest.fixture
def run_script(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`run_script("predict", "--input", ...)`: exit status, standard output and standard error of a script."""

    def run(name: str, *words: object) -> tuple[int, str, str]:
        status = load_script(name).main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def main() -> Callable[[Sequence[str]], int]:
    """The exit status of `scripts/prepare.py` for the words of a command line."""
    function: Callable[[Sequence[str]], int] = load_script("prepare").main
    return function


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of a tiny network for 3 bands at 10 m."""
    torch.manual_seed(0)
    network = build_model(TINY_NETWORK, bands=3)
    network.normalization.fill([100.0] * 3, [10.0] * 3)
    task = {"bands": 3, "model": TINY_NETWORK.arguments(), "threshold": 0.5}
    names = ["red", "green", "blue"]
    data = {"bands": [1, 2, 3], "image_bands": 3, "band_names": names, "nodata": None, "pixel_size_m": 10.0}
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_package(Checkpoint(Path("best.ckpt"), network.state_dict(), task, data, {}), folder)
    return folder
