"""Hardware-independent cost of a network: parameters, operations, bytes moved."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

COUNTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Layers whose bytes are counted. Norms and activations do not count, since they can be fused into these layers."""

BYTES = 4
"""Size of a float32 in bytes."""


@dataclass(frozen=True)
class Cost:
    """Cost of one forward pass.

    Attributes:
        parameters: Number of trainable values.
        macs: Multiply-accumulate operations.
        bytes_moved: Smallest memory traffic in float32: each layer reads its input and its weights once, and writes its
            output once.
    """

    parameters: int
    macs: int
    bytes_moved: int

    @property
    def intensity(self) -> float:
        """MACs per moved byte."""
        return self.macs / self.bytes_moved if self.bytes_moved else 0.0


@dataclass(frozen=True)
class NetworkCost(Cost):
    """Cost of one forward pass through a network.

    Attributes:
        layers: The convolutions and linear layers in the order of computation. Other operations, such as attention,
            count only in the MACs of the network.
    """

    layers: tuple[Cost, ...]


@torch.inference_mode()
def measure_cost(module: nn.Module, shape: Sequence[int]) -> NetworkCost:
    """Measure the cost of one forward pass on the meta device, where only shapes are computed.

    Args:
        module: Network with one input tensor; it is not modified.
        shape: Shape of the input tensor.
    """
    shadow = copy.deepcopy(module).eval().to("meta")
    layers: list[Cost] = []
    with FlopCounterMode(display=False) as counter, _recorded(shadow, layers, counter):
        shadow(torch.zeros(*shape, device="meta"))
    return NetworkCost(
        parameters=_parameters(module),
        macs=counter.get_total_flops() // 2,
        bytes_moved=sum(layer.bytes_moved for layer in layers),
        layers=tuple(layers),
    )


@contextmanager
def _recorded(module: nn.Module, layers: list[Cost], counter: FlopCounterMode) -> Iterator[None]:
    """Append the cost of each counted layer to a list during the forward pass."""
    started: list[int] = []

    def begin(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        started.append(counter.get_total_flops())

    def end(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        macs = (counter.get_total_flops() - started.pop()) // 2
        parameters = _parameters(layer)
        layers.append(Cost(parameters, macs, BYTES * (inputs[0].numel() + parameters + output.numel())))

    counted = [layer for layer in module.modules() if isinstance(layer, COUNTED)]
    handles = [layer.register_forward_pre_hook(begin) for layer in counted]
    handles += [layer.register_forward_hook(end) for layer in counted]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
