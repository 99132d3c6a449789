from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from seg.benchmark import subjects
from seg.benchmark.convolutions import compare, roofline
from seg.benchmark.inference.packages import write_random
from seg.entry import benchmark
from support.networks import TINY_NETWORK

Main = Callable[[Sequence[str]], int]


@pytest.fixture(scope="session")
def main() -> Main:
    return benchmark.main


@pytest.fixture(scope="session")
def random_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of the family's smallest network with random weights and its ONNX file; tests must not change it."""
    folder = tmp_path_factory.mktemp("models") / "dilated_tiny_4"
    write_random(folder, subjects.FAMILY["dilated_tiny_4"])
    return folder


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Fast limits and timings, and a family that also has small networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(roofline.MATMUL_SIDE, "cpu", 16)
        patch.setitem(roofline.COPY_BYTES, "cpu", 4096)
        patch.setattr(compare, "SHORTEST_TIMING", 0.0)
        patch.setitem(subjects.FAMILY, "small", TINY_NETWORK)
        patch.setitem(subjects.FAMILY, "global", replace(TINY_NETWORK, context="global"))
        yield
