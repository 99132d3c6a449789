"""Table of a network's layers: shapes, parameters, operations and receptive fields."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
import torchinfo
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from seg.models.receptive_field import receptive_field_radius
from seg.models.segmenter import Segmenter

WIDEST = 2048
"""Width in pixels of the image that is traced if the receptive field is unbounded."""


@dataclass(frozen=True)
class LayerSummary:
    """One layer, including its sublayers.

    Attributes:
        name: Dotted name in the network.
        kind: Class name.
        shape: Output shape.
        parameters: Number of weights.
        macs: Number of multiply-accumulate operations for an image of the given size.
        receptive_field: Width of the receptive field of one output cell, in input pixels; None if unbounded.
        stride: Distance between neighbouring output cells, in input pixels; 0 if the output has no cells.
        leaf: True if the layer has no sublayers.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field: int | None
    stride: float
    leaf: bool


def summarize_layers(model: Segmenter, bands: int, size: int) -> list[LayerSummary]:
    """Summarise every layer of a network in the order of computation; the first entry is the whole network.

    Args:
        model: The network.
        bands: Channels of the input.
        size: Side in pixels of the image for which shapes and operations are given.
    """
    image = torch.zeros(1, bands, size, size)
    with _evaluating(model):
        table = torchinfo.summary(model, input_data=image, verbose=0, depth=99)
        with FlopCounterMode(display=False, depth=99) as counter:
            model(image)
        reaches = traced_reaches(model, bands)
    # torchinfo would count a transposed convolution as if it were a convolution over its output, and would not count
    # shared weights.
    operations = {name: sum(counts.values()) // 2 for name, counts in counter.get_flop_counts().items()}
    names = {id(module): name for name, module in model.named_modules()}
    root = type(model).__name__
    layers = []
    for info in table.summary_list:
        name = names[info.layer_id]
        reach, stride = reaches.get(name, (0, 0.0))
        layers.append(
            LayerSummary(
                name=name,
                kind=info.class_name,
                shape=tuple(info.output_size),
                parameters=info.num_params,
                macs=operations.get(f"{root}.{name}" if name else root, 0),
                receptive_field=reach,
                stride=stride,
                leaf=info.is_leaf_layer,
            )
        )
    return layers


@torch.inference_mode()
def traced_reaches(model: Segmenter, bands: int) -> dict[str, tuple[int | None, float]]:
    """Receptive field and stride, in input pixels along the width, of every layer whose output is a feature map.

    As in `receptive_field_radius`, if a column of the input is NaN, exactly the cells that depend on it become NaN.

    Args:
        model: The network, in evaluation mode.
        bands: Channels of the input.
    """
    radius = receptive_field_radius(model, bands)
    steps = WIDEST // model.stride if radius is None else 2 * (-(-radius // model.stride) + 2)
    width, middle = steps * model.stride, steps // 2 * model.stride
    columns = torch.arange(middle, middle + model.stride)
    images = torch.zeros(model.stride, bands, 2 * model.stride, width)
    images[torch.arange(model.stride), :, :, columns] = torch.nan
    reached: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(partial(_record_reached, reached, name, width / (2 * model.stride)))
        for name, module in model.named_modules()
    ]
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    return {
        name: (_widest_field(cells, middle, width, model.stride), width / cells.shape[1])
        for name, cells in reached.items()
    }


def _record_reached(
    reached: dict[str, Tensor], name: str, aspect: float, *call: nn.Module | tuple[object, ...] | object
) -> None:
    """Forward hook that records the NaN columns of a layer's output if it has the aspect ratio of the image."""
    output = call[-1]
    if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] == aspect * output.shape[-2]:
        reached[name] = output.isnan().any(dim=1).any(dim=1)


def _widest_field(cells: Tensor, middle: int, width: int, stride: int) -> int | None:
    """Largest width of a receptive field among the cells of a layer, in columns of the image.

    Args:
        cells: (stride, cells) bool, True where column `middle + i` of the image reaches a cell.
        middle: Index of the first traced column.
        width: Width of the image.
        stride: Shift in pixels under which the network is equivariant.
    """
    if cells[:, 0].any() or cells[:, -1].any():
        return None
    per_stride = max(cells.shape[1] * stride // width, 1)
    columns, reached = cells.nonzero(as_tuple=True)
    offsets = reached - middle * cells.shape[1] // width
    # Since the network is equivariant to shifts by its stride, shift each cell to the first stride, and its columns by
    # the same distance.
    relative = columns - offsets.div(per_stride, rounding_mode="floor") * stride
    phases = offsets % per_stride
    seen = [relative[phases == phase] for phase in range(per_stride)]
    return max((int(found.max() - found.min()) + 1 for found in seen if len(found)), default=0)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)
