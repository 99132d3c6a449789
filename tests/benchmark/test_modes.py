import pytest
import torch
from torch import Tensor, nn

from seg.benchmark.modes import (
    BFLOAT16,
    CHANNELS_LAST,
    CONTIGUOUS,
    FLOAT16,
    choose_device,
    forward_passes,
    modes_on,
    synchronizer,
)
from seg.errors import ConfigError

CPU = torch.device("cpu")


class Witness(nn.Module):
    """A convolution that records the memory layouts and types of its last input and output."""

    seen: list[tuple[bool, torch.dtype]] = []  # noqa: RUF012 - shared with copies of the module

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3)

    def forward(self, image: Tensor) -> Tensor:
        output: Tensor = self.conv(image)
        self.seen.append((image.is_contiguous(memory_format=torch.channels_last), output.dtype))
        return output


@pytest.mark.parametrize(
    ("mode", "last", "dtype"),
    [
        (CONTIGUOUS, False, torch.float32),
        (CHANNELS_LAST, True, torch.float32),
        (BFLOAT16, True, torch.bfloat16),
    ],
)
def test_a_pass_has_the_layout_and_precision_of_its_mode(mode: object, last: bool, dtype: torch.dtype) -> None:
    Witness.seen.clear()
    for candidate in forward_passes(Witness(), (1, 4, 8, 8), CPU, [mode]).values():
        candidate.action()
    assert Witness.seen == [(last, dtype)]


def test_a_cpu_is_measured_only_in_float32() -> None:
    assert modes_on(CPU) == (CONTIGUOUS, CHANNELS_LAST)


@pytest.mark.parametrize(("bfloat16", "mixed"), [(True, (BFLOAT16, FLOAT16)), (False, (FLOAT16,))])
def test_a_gpu_is_measured_in_the_precisions_that_it_supports(
    bfloat16: bool, mixed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)
    assert modes_on(torch.device("cuda"))[2:] == mixed


def test_auto_is_the_gpu_if_present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [choose_device(name).type for name in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]


def test_a_missing_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    with pytest.raises(ConfigError, match="finds no GPU"):
        choose_device("cuda")


def test_timing_waits_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    synchronizer(CPU)()
    synchronizer(torch.device("cuda"))()
    assert waited == [torch.device("cuda")]
