"""What a network consists of, layer by layer: shape, parameters, operations, receptive field."""

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
"""Pixels of the image in which layers are traced, where the network sees the whole of it."""


@dataclass(frozen=True)
class LayerSummary:
    """One layer, with all that lies inside it.

    Attributes:
        name: Dotted name in the network.
        kind: Class name.
        shape: Of its output.
        parameters: Number of weights.
        macs: Multiplications with an addition for the image.
        receptive_field: Input pixels along an axis that one cell of its output sees; None for all, whatever the size.
        stride: Input pixels from one of its cells to the next; 0 where its output is no map.
        leaf: Whether it has no layers inside.
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
    """Every layer of a network, in the order of computation; the first is the whole network.

    Args:
        model: The network.
        bands: Channels of its input.
        size: Side of the image that shapes and operations are counted for, in pixels.
    """
    image = torch.zeros(1, bands, size, size)
    with _evaluating(model):
        table = torchinfo.summary(model, input_data=image, verbose=0, depth=99)
        with FlopCounterMode(display=False, depth=99) as counter:
            model(image)
        reaches = traced_reaches(model, bands)
    # torchinfo takes a transposed convolution for one over its output, and leaves out weights that are shared.
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
    """Receptive field and stride, in input pixels along the width, of every layer whose output is a map.

    Traced as in `receptive_field_radius`: a column of NaN in the image spreads to exactly the cells that see it.

    Args:
        model: The network, in evaluation mode.
        bands: Channels of its input.
    """
    radius = receptive_field_radius(model, bands)
    steps = WIDEST // model.stride if radius is None else 2 * (-(-radius // model.stride) + 2)
    width, middle = steps * model.stride, steps // 2 * model.stride
    columns = torch.arange(middle, middle + model.stride)
    images = torch.zeros(model.stride, bands, 2 * model.stride, width)
    images[torch.arange(model.stride), :, :, columns] = torch.nan
    reached: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(partial(_note_reached, reached, name, width / (2 * model.stride)))
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


def _note_reached(
    reached: dict[str, Tensor], name: str, aspect: float, *call: nn.Module | tuple[object, ...] | object
) -> None:
    """Forward hook: which columns of a layer's output hold a NaN, if the output is a map of the image's proportions."""
    output = call[-1]
    if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] == aspect * output.shape[-2]:
        reached[name] = output.isnan().any(dim=1).any(dim=1)


def _widest_field(cells: Tensor, middle: int, width: int, stride: int) -> int | None:
    """Columns between the first and the last that one cell sees, for the cell that sees most.

    Args:
        cells: (stride, cells) whether the column `middle + i` of the image reaches a cell.
        middle: The first of the columns.
        width: Of the image.
        stride: Pixels after which the network repeats itself.
    """
    if cells[:, 0].any() or cells[:, -1].any():
        return None
    per_stride = max(cells.shape[1] * stride // width, 1)
    columns, reached = cells.nonzero(as_tuple=True)
    offsets = reached - middle * cells.shape[1] // width
    # A cell some strides on sees a column as the cell of the first stride sees the one as many strides before.
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
