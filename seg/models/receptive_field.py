"""Receptive field of a network: by formula, by tracing, and by gradients."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from seg.models.segmenter import Segmenter

LIMIT = 4096
"""Largest receptive field that is searched for, in pixels; a larger one counts as unbounded."""

MUCH_FURTHER = 4
"""The user gets a note if the radius of the receptive field is more than this factor times the side of the training
scenes. The scenes of the demo dataset have sides of about 28 pixels. If two networks are trained on these scenes, the
network with a radius of 80 pixels maps the whole demo image well, but the network with a radius of 294 pixels fails."""


@dataclass(frozen=True)
class Layer:
    """A convolution or pooling along one axis; its lengths are in cells of the layer's input."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


@dataclass(frozen=True)
class ChainReach:
    """Receptive field and output size of a chain of layers.

    Attributes:
        size: Width of the receptive field of one output cell, in input pixels.
        stride: Distance between neighbouring output cells, in input pixels.
        output: Number of output cells along the axis.
    """

    size: int
    stride: int
    output: int


def chain_reach(layers: Iterable[Layer], length: int) -> ChainReach:
    """Receptive field, stride and output of a chain of layers (Araujo et al. 2019, https://doi.org/10.23915/distill.00021).

    Start with size r = 1, stride j = 1 and length n. A layer of kernel k, stride s, padding p and dilation d changes r
    to r + (k - 1) d j, then changes j to s j, and changes n to floor((n + 2 p - d (k - 1) - 1) / s) + 1.

    Args:
        layers: Layers in order, starting at the input.
        length: Number of input pixels along the axis.
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
    """Largest distance in pixels at which an input pixel can change a logit; None if unbounded.

    If one column of an image of zeros is NaN, exactly the logits that depend on this column become NaN, since NaN times
    0 is NaN. The radius may depend on the position of the column relative to the stride, so all columns within one
    stride are tried. The radius is measured along the width only and assumed to be the same along the height.

    Args:
        model: A network that is equivariant to shifts by its stride.
        bands: Channels of the input.
    """
    if model.window_dependent:
        return None
    training = model.training
    model.eval()
    # First, all columns of one stride are NaN at once, in an image of the largest width. The radius found in this way
    # shows how wide an image must be to try each column alone. In a narrower image, the steps of a dilated convolution
    # could pass over its edge, and no logit would show the full radius.
    radius = _radius_within(model, bands, 2 * LIMIT, together=True)
    if radius is not None:
        width = 2 * (radius // model.stride + 2) * model.stride
        radius = _radius_within(model, bands, width, together=False)
    model.train(training)
    return radius


def effective_radius(model: Segmenter, images: Iterable[Tensor], tolerance: float) -> int:
    """Distance in pixels beyond which the input changes a probability by at most a tolerance, to first order.

    The gradient of a probability gives the effect of each input pixel (Luo et al. 2016,
    https://doi.org/10.48550/arXiv.1701.04128). If every pixel beyond this distance changes by one standard deviation in
    every band, each in the worst direction, the sum of the effects is at most the tolerance. In most networks, this
    distance is far smaller than the radius of the receptive field, since gradients decrease with distance.

    Args:
        model: Network in evaluation mode; its band statistics give the standard deviation of each band.
        images: (C, H, W) in stored units, wider than twice the receptive field. In each image, gradients are computed
            for pixels near the middle: one pixel for each position relative to the stride.
        tolerance: Largest change of a probability, 0 to 1.
    """
    radius = 0
    for image in images:
        for profile in gradient_profiles(model, image):
            beyond = profile.flip(0).cumsum(0).flip(0)  # beyond[r]: sum at distances of r or more
            radius = max(radius, int((beyond > tolerance).sum()) - 1)
    return max(radius, 0)


def gradient_profiles(model: Segmenter, image: Tensor) -> Iterator[Tensor]:
    """Sensitivity of a pixel's probability to the input at each distance, for some pixels near the middle of an image.

    Args:
        model: The network.
        image: (C, H, W) in stored units.

    Yields:
        (R,) sums of the absolute gradients at each Chebyshev distance from the pixel, per standard deviation of the
        input.
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
    """Note to the user if the receptive field is unbounded or much larger than the training scenes; otherwise "".

    A receptive field that is much larger than the training scenes contains mostly padding in training. The network can
    then score well on small scenes but fail on large scenes.

    Args:
        reach: Radius of the receptive field in pixels; None if unbounded.
        side: Side of a training scene, in pixels.
    """
    if reach is None:
        return (
            "note: the network's receptive field is unbounded, so maps will depend slightly on the tiling; "
            "to bound it, use architecture dilated with encoder dilated_small, norm batch or none, and context "
            "none or windowed\n"
        )
    if reach <= MUCH_FURTHER * side:
        return ""
    return (
        f"note: the network's receptive field reaches {reach} pixels to each side, but training scenes are about "
        f"{side:.0f} pixels wide, so maps of larger scenes may be poor; train on larger scenes, or with a smaller "
        "encoder, output_stride or pyramid_rates\n"
    )


def _radius_within(model: Segmenter, bands: int, width: int, together: bool) -> int | None:
    """Radius, with one image per column; if all columns are `together` in one image, an upper bound of the radius."""
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
