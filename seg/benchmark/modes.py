"""Modes in which PyTorch can compute a network: device, memory layout, precision."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from seg.benchmark.timing import Action, Candidate, nothing
from seg.errors import ConfigError


@dataclass(frozen=True)
class Mode:
    """One way to compute a network.

    Attributes:
        name: Name in the tables.
        channels_last: Use the channels-last memory format (NHWC) instead of NCHW.
        mixed: 16-bit type of convolutions and matrix products; None if all operations use float32.
    """

    name: str
    channels_last: bool = False
    mixed: torch.dtype | None = None


CONTIGUOUS = Mode("contiguous")
CHANNELS_LAST = Mode("channels_last", channels_last=True)
BFLOAT16 = Mode("bf16 mixed", channels_last=True, mixed=torch.bfloat16)
FLOAT16 = Mode("fp16 mixed", channels_last=True, mixed=torch.float16)


def choose_device(name: str) -> torch.device:
    """Choose a device by name.

    Args:
        name: "cpu", "cuda", or "auto" (the GPU if present).

    Raises:
        ConfigError: "cuda" was requested, but there is no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device is cuda, but PyTorch finds no GPU; use cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def modes_on(device: torch.device) -> tuple[Mode, ...]:
    """Modes to compare on a device, float32 first."""
    if device.type != "cuda":
        return CONTIGUOUS, CHANNELS_LAST
    mixed = (BFLOAT16, FLOAT16) if torch.cuda.is_bf16_supported() else (FLOAT16,)
    return CONTIGUOUS, CHANNELS_LAST, *mixed


def synchronizer(device: torch.device) -> Action:
    """Function that waits until the device has finished its work."""
    return partial(torch.cuda.synchronize, device) if device.type == "cuda" else nothing


def forward_passes(
    module: nn.Module, shape: Sequence[int], device: torch.device, modes: Iterable[Mode]
) -> dict[str, Candidate]:
    """Forward passes of a network in each mode, by the name of the mode.

    Args:
        module: Network with one input tensor; it is set to evaluation mode and moved to the device.
        shape: Shape of the input tensor, (B, C, H, W).
        device: Device for computing.
        modes: Modes to time.
    """
    image = torch.randn(*shape, device=device)
    plain = module.eval().to(device)
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    image_last = image.to(memory_format=torch.channels_last)
    return {
        mode.name: Candidate(
            partial(
                forward_pass, last if mode.channels_last else plain, image_last if mode.channels_last else image, mode
            )
        )
        for mode in modes
    }


@torch.inference_mode()
def forward_pass(module: Callable[[Tensor], object], image: Tensor, mode: Mode) -> None:
    """Compute a network without gradients.

    Args:
        module: The network, in evaluation mode.
        image: (B, C, H, W) input on the device of the network, in the layout of the mode.
        mode: Precision.
    """
    with torch.autocast(image.device.type, dtype=mode.mixed, enabled=mode.mixed is not None):
        module(image)
