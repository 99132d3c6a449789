"""The edges between cropland and other, found in a mask on the device where it lies."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from seg.labels import CROPLAND, IGNORE, OTHER


def boundary_mask(mask: Tensor, width: int) -> Tensor:
    """The edges between cropland and other, as labels: 1 edge, 0 none, 255 where it cannot be known.

    Args:
        mask: (B, H, W) integer labels.
        width: Pixels to each side of an edge that belong to it.

    Returns:
        (B, H, W) uint8. A pixel is on an edge if both classes occur within `width` of it. If only one does, but a
        pixel there has no label, nobody knows; a pixel without a label stays without.
    """
    side = 2 * width + 1
    classes = torch.stack([mask == label for label in (CROPLAND, OTHER, IGNORE)], dim=1).float()
    near = F.max_pool2d(classes, side, stride=1, padding=width) > 0
    edge = near[:, 0] & near[:, 1]
    unknown = (mask == IGNORE) | (near[:, 2] & ~edge)
    return edge.to(torch.uint8).masked_fill(unknown, IGNORE)


@torch.no_grad()
def edge_weights(mask: Tensor, edge_weight: float, sigma: float) -> Tensor:
    """What each pixel weighs: 1 + edge_weight exp(-d² / 2 sigma²), d pixels from the nearest pixel on an edge.

    The idea is the U-Net's (Ronneberger et al. 2015, https://doi.org/10.1007/978-3-319-24574-4_28, equation 2), whose
    d1 + d2 are the distances to the two nearest cells; a mask of two classes knows no single parcels, so that d is the
    distance to the nearest labelled pixel that touches the other class. An ignored pixel is never an edge, and a class
    beyond one is not seen. Where no edge is within 3 sigma in row and column, the weight is 1.

    Args:
        mask: (B, H, W) integer labels.
        edge_weight: Added weight of a pixel on an edge.
        sigma: Pixels over which it falls off.

    Returns:
        (B, H, W) float32.
    """
    near = (boundary_mask(mask, width=1) == CROPLAND).float()
    # exp(-(dx² + dy²)) = exp(-dx²) exp(-dy²), so that the nearest edge is found by rows, then by columns.
    for axis in (-1, -2):
        near = _fall_off(near, sigma, axis)
    return 1 + edge_weight * near


def _fall_off(near: Tensor, sigma: float, axis: int) -> Tensor:
    """The largest value along an axis, each times a Gaussian of its distance."""
    largest = near.clone()
    for distance in range(1, min(math.ceil(3 * sigma), near.shape[axis] - 1) + 1):
        faded = near * math.exp(-(distance**2) / (2 * sigma**2))
        left = near.shape[axis] - distance
        for start, other in ((0, distance), (distance, 0)):
            part = largest.narrow(axis, start, left)
            part.copy_(torch.maximum(part, faded.narrow(axis, other, left)))
    return largest
