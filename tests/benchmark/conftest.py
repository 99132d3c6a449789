from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from seg.benchmark import family
from seg.benchmark.convolutions import compare, roofline
from seg.models.config import ModelConfig
from support.project import load_script

Main = Callable[[Sequence[str]], int]


@pytest.fixture(scope="session")
def main() -> Main:
    function: Main = load_script("benchmark").main
    return function


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Ceilings and timings that take no time, and a family that has small members too."""
    small = ModelConfig(
        encoder="tu-test_resnet", output_stride=8, pyramid_rates=(1,), pyramid_channels=8, decoder_channels=(8, 8, 8)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(roofline.MATMUL_SIDE, "cpu", 16)
        patch.setitem(roofline.COPY_BYTES, "cpu", 4096)
        patch.setattr(compare, "SHORTEST_TIMING", 0.0)
        patch.setitem(family.FAMILY, "small", small)
        patch.setitem(family.FAMILY, "global", replace(small, context="global"))
        yield
