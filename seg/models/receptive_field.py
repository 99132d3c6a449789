"""How far a pixel's logit looks: by formula for a chain of layers, by tracing a network, and by its gradients."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from seg.models.segmenter import Segmenter

LIMIT = 4096
"""Where the search for a receptive field's end gives up, in pixels."""

MUCH_FURTHER = 4
"""Times the side of a scene. On the demo dataset (chips of about 28 pixels) a network that sees 80 pixels maps the
whole scene as well as its blocks, one that sees 294 not at all."""


@dataclass(frozen=True)
class Layer:
    """One convolution or pooling along an axis, its lengths in its own input's cells."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


@dataclass(frozen=True)
class ChainReach:
    """What a chain of layers comes to.

    Attributes:
        size: Width of the receptive field of one output cell, in input pixels.
        stride: Input pixels from one output cell to the next.
        output: Output cells along the axis.
    """

    size: int
    stride: int
    output: int


def chain_reach(layers: Iterable[Layer], length: int) -> ChainReach:
    """Receptive field, stride and output of a chain of layers (Araujo et al. 2019, https://doi.org/10.23915/distill.00021).

    With r = j = 1 and n the input's length to start with, each layer of kernel k, stride s, padding p and dilation d
    makes r + (k - 1) d j of r, then s j of j, and floor((n + 2 p - d (k - 1) - 1) / s) + 1 of n.

    Args:
        layers: From the input on.
        length: Pixels of the input along the axis.
    """
    size, stride = 1, 1
    for layer in layers:
        extent = layer.dilation * (layer.kernel - 1)
        size += extent * stride
        stride *= layer.stride
        length = (length + 2 * layer.padding - extent - 1) // layer.stride + 1
    return ChainReach(size, stride, length)


@torch.inference_mode()
def receptive_field_radius(model: Segmenter, bands: int) -> int | None:
    """How many pixels away an input can still reach a logit, in the model's real graph; None if that has no end.

    A column of NaN in an image of zeros spreads to exactly the logits that its pixels reach: NaN survives every
    product, even with a weight of 0. All columns of one stride are tried, since they differ in phase. Only the reach
    along the width is traced; a network is taken to look as far up and down.

    Args:
        model: Shift-equivariant by its stride.
        bands: Channels of its input.
    """
    if model.window_dependent:
        return None
    training = model.training
    model.eval()
    # All columns together tell how wide an image is wide enough for each. They are tried on the widest at once: on a
    # narrow one, a dilated convolution can reach past the border and leave no trace.
    radius = _radius_within(model, bands, 2 * LIMIT, together=True)
    if radius is not None:
        width = 2 * (radius // model.stride + 2) * model.stride
        radius = _radius_within(model, bands, width, together=False)
    model.train(training)
    return radius


def effective_radius(model: Segmenter, images: Iterable[Tensor], tolerance: float) -> int:
    """The halo in pixels beyond which a probability changes by less than a tolerance, to first order.

    The gradient of a probability says how much each input pixel moves it (Luo et al. 2016,
    https://doi.org/10.48550/arXiv.1701.04128). Beyond this radius the changes add up to at most the tolerance even if
    every band of every pixel out there moves by one standard deviation in its worst direction. Far below the
    receptive field in most networks, as gradients fade outwards.

    Args:
        model: In the mode in which it will predict; its band statistics say what a standard deviation is.
        images: (C, H, W) in stored units. Around the middle of each, one place for each phase of the stride's
            diagonal is examined; the images should be wider than twice the receptive field.
        tolerance: Largest change of a probability, 0 to 1.
    """
    radius = 0
    for image in images:
        for profile in gradient_profiles(model, image):
            beyond = profile.flip(0).cumsum(0).flip(0)  # beyond[r]: all at distance r or more
            radius = max(radius, int((beyond > tolerance).sum()) - 1)
    return max(radius, 0)


def gradient_profiles(model: Segmenter, image: Tensor) -> Iterator[Tensor]:
    """How much a probability answers to the input at each distance, for places around the middle of an image.

    Args:
        model: The network.
        image: (C, H, W) in stored units.

    Yields:
        (R,) sums of absolute gradients per standard deviation of the input at each Chebyshev distance from the place.
    """
    height, width = image.shape[-2:]
    batch = image[None].clone().requires_grad_()
    probability = model(batch).sigmoid()[0, 0]
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    phases = range(min(model.stride, height, width))
    for phase in phases:
        row, column = height // 2 + phase - len(phases) // 2, width // 2 + phase - len(phases) // 2
        (gradient,) = torch.autograd.grad(probability[row, column], batch, retain_graph=True)
        weight = (gradient[0].abs() * model.normalization.std[:, None, None]).sum(dim=0)
        distance = torch.maximum((rows - row).abs(), (columns - column).abs())
        yield torch.bincount(distance.flatten(), weights=weight.flatten())


def unseen_context(reach: int | None, side: float) -> str:
    """A line for the user when a network sees much further than its training scenes reach; empty if it does not.

    Such a network meets only padding out there, scores well on scenes of that size, and can fail on a whole one.

    Args:
        reach: Receptive field to each side, in pixels; None if it has no end.
        side: Side of a training scene, in pixels.
    """
    if reach is None:
        return (
            "note: the network sees the whole of a window, whatever its size, so its maps will depend a little on how "
            "a scene was cut; architecture dilated with encoder dilated_small, norm batch or none, and context none or "
            "windowed sees only so far\n"
        )
    if reach <= MUCH_FURTHER * side:
        return ""
    return (
        f"note: the network sees {reach} pixels to each side, but training scenes are about {side:.0f} pixels wide, so "
        "it may map larger scenes badly; train on larger ones, or with a smaller encoder, output_stride or "
        "pyramid_rates\n"
    )


def _radius_within(model: Segmenter, bands: int, width: int, together: bool) -> int | None:
    """The radius, traced with one image for each column, or an upper bound of it from one for all of them."""
    middle = width // 2 // model.stride * model.stride
    columns = torch.arange(middle, middle + model.stride)
    numbers = torch.zeros_like(columns) if together else torch.arange(model.stride)
    images = torch.zeros(int(numbers.max()) + 1, bands, 2 * model.stride, width)
    images[numbers, :, :, columns] = torch.nan
    reached: Tensor = model(images).isnan().any(dim=2)[:, 0]
    if reached[:, 0].any() or reached[:, -1].any():
        return None
    distances = (torch.arange(width) - columns[:, None]).abs()
    return int(distances[reached[numbers]].max())
