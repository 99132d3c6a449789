"""How far a pixel's logit looks."""

import torch
from torch import Tensor, nn


@torch.inference_mode()
def receptive_field_radius(model: nn.Module, bands: int, stride: int) -> int:
    """How many pixels away an input can still reach a logit, in the model's real graph.

    A column of NaN in an image of zeros spreads to exactly the logits that its pixels reach: NaN survives every
    product, even with a weight of 0. All columns of one stride are tried, since they differ in phase. Only the reach
    along the width is traced; a network is taken to look as far up and down.

    Args:
        model: Maps (B, bands, H, W) to (B, 1, H, W), shift-equivariant by `stride`.
        bands: Channels of its input.
        stride: Pixels after which the model repeats itself.

    Returns:
        The largest distance in pixels along an axis. A model that sees its whole input, whatever its size, as with
        global pooling, has no such distance: the search ends at `LIMIT` and returns that.
    """
    training = model.training
    model.eval()
    width = max(2048, 64 * stride)
    while (radius := _radius_within(model, bands, stride, width)) is None and width < 2 * LIMIT:
        width *= 2
    model.train(training)
    return LIMIT if radius is None else radius


LIMIT = 4096
"""Where the search for a receptive field's end gives up, in pixels."""


MUCH_FURTHER = 4
"""Times the side of a scene. On the demo dataset (chips of about 28 pixels) a network that sees 80 pixels maps the
whole scene as well as its blocks, one that sees 294 not at all."""


def unseen_context(reach: int, side: float) -> str:
    """A line for the user when a network sees much further than its training scenes reach; empty if it does not.

    Such a network meets only padding out there, scores well on scenes of that size, and can fail on a whole one.

    Args:
        reach: Receptive field to each side, in pixels.
        side: Side of a training scene, in pixels.
    """
    if reach <= MUCH_FURTHER * side:
        return ""
    return (
        f"note: the network sees {reach} pixels to each side, but training scenes are about {side:.0f} pixels wide, so "
        "it may map larger scenes badly; train on larger ones, or with a smaller encoder, output_stride or "
        "pyramid_rates\n"
    )


def _radius_within(model: nn.Module, bands: int, stride: int, width: int) -> int | None:
    middle = width // 2 // stride * stride
    columns = torch.arange(middle, middle + stride)
    images = torch.zeros(stride, bands, 2 * stride, width)
    images[torch.arange(stride), :, :, columns] = torch.nan
    reached: Tensor = model(images).isnan().any(dim=2)[:, 0]
    if reached[:, 0].any() or reached[:, -1].any():
        return None
    distances = (torch.arange(width) - columns[:, None]).abs()
    return int(distances[reached].max())
