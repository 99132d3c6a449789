import pytest
import torch

from seg.benchmark.convolutions.roofline import (
    COPY,
    COPY_BYTES,
    MATMUL,
    MATMUL_SIDE,
    Ceilings,
    ceiling_candidates,
    ceilings_from,
)
from seg.benchmark.cost import Cost

MACHINE = Ceilings(matmul_macs_per_second=60.0, convolution_macs_per_second=100.0, bytes_per_second=10.0)


@pytest.mark.parametrize(
    ("macs", "bytes_moved", "seconds", "limit"), [(1000, 50, 10, "compute"), (1000, 500, 50, "memory")]
)
def test_the_slower_of_computing_and_memory_is_the_limit(
    macs: int, bytes_moved: int, seconds: float, limit: str
) -> None:
    roof = MACHINE.roof([Cost(0, macs, bytes_moved)])
    assert (roof.seconds, roof.limits) == (seconds, (limit,))


def test_times_of_layers_add_up_and_each_layer_has_a_limit() -> None:
    roof = MACHINE.roof([Cost(0, 100, 50), Cost(0, 1000, 50)])
    assert (roof.seconds, roof.limits) == (5 + 10, ("memory", "compute"))


def test_at_the_balance_computing_and_memory_take_equal_times() -> None:
    assert MACHINE.balance == 10
    assert MACHINE.roof([Cost(0, 100, 10)]).seconds == 1


def test_ceilings_are_work_divided_by_time(quick: None) -> None:
    device = torch.device("cpu")
    assert set(ceiling_candidates(device)) == {MATMUL, COPY}
    ceilings = ceilings_from({MATMUL: 2.0, COPY: 4.0}, device, convolution=1.0)
    assert ceilings.macs_per_second == MATMUL_SIDE["cpu"] ** 3 / 2
    assert ceilings.bytes_per_second == 2 * COPY_BYTES["cpu"] / 4
