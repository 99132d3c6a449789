"""Edges between cropland and other in a mask, computed on the mask's device."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from seg.labels import CROPLAND, IGNORE, OTHER


def boundary_mask(mask: Tensor, width: int) -> Tensor:
    """Mask of the edges between cropland and other.

    Args:
        mask: (B, H, W) integer labels.
        width: Width of an edge, in pixels to each side.

    Returns:
        (B, H, W) uint8: 1 edge, 0 no edge, 255 unknown. A pixel is on an edge if both classes occur within `width`
        pixels of it. Two kinds of pixels are unknown: unlabelled pixels, and pixels that have an unlabelled pixel but
        only one class within `width`.
    """
    side = 2 * width + 1
    classes = torch.stack([mask == label for label in (CROPLAND, OTHER, IGNORE)], dim=1).float()
    near = F.max_pool2d(classes, side, stride=1, padding=width) > 0
    edge = near[:, 0] & near[:, 1]
    unknown = (mask == IGNORE) | (near[:, 2] & ~edge)
    return edge.to(torch.uint8).masked_fill(unknown, IGNORE)


@torch.no_grad()
def edge_weights(mask: Tensor, edge_weight: float, sigma: float) -> Tensor:
    """Weight of each pixel: 1 + edge_weight exp(-d² / 2 sigma²) at a distance of d pixels from the nearest edge.

    The formula is from the U-Net (Ronneberger et al. 2015, https://doi.org/10.1007/978-3-319-24574-4_28, equation 2).
    In the U-Net, d is the sum of the distances to the two nearest objects, but a mask of two classes does not separate
    touching parcels. Here, d is the distance to the nearest labelled pixel that touches the other class. An ignored
    pixel is never on an edge. The Gaussian is cut off at 3 sigma along rows and along columns; beyond, the weight is 1.

    Args:
        mask: (B, H, W) integer labels.
        edge_weight: Additional weight of a pixel on an edge.
        sigma: Standard deviation of the Gaussian, in pixels.

    Returns:
        (B, H, W) float32.
    """
    near = (boundary_mask(mask, width=1) == CROPLAND).float()
    # exp(-(dx² + dy²)) = exp(-dx²) exp(-dy²), so rows and columns are processed one after the other.
    for axis in (-1, -2):
        near = _fall_off(near, sigma, axis)
    return 1 + edge_weight * near


def _fall_off(near: Tensor, sigma: float, axis: int) -> Tensor:
    """Largest value along an axis, after multiplying each value by a Gaussian of its distance."""
    largest = near.clone()
    for distance in range(1, min(math.ceil(3 * sigma), near.shape[axis] - 1) + 1):
        faded = near * math.exp(-(distance**2) / (2 * sigma**2))
        left = near.shape[axis] - distance
        for start, other in ((0, distance), (distance, 0)):
            part = largest.narrow(axis, start, left)
            part.copy_(torch.maximum(part, faded.narrow(axis, other, left)))
    return largest
