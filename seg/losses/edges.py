"""Edges between cropland and other in a mask, computed on the mask's device."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from seg.labels import CROPLAND, IGNORE, OTHER


def boundary_mask(mask: Tensor, width: int) -> Tensor:
    """Label the edges between cropland and other.

    Args:
        mask: (B, H, W) integer labels.
        width: Pixels to each side of an edge that count as edge.

    Returns:
        (B, H, W) uint8: 1 edge, 0 no edge, 255 unknown. A pixel is on an edge if both classes occur within `width` of
        it. It is unknown if only one class occurs there beside unlabelled pixels, or if it has no label itself.
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

    After the U-Net (Ronneberger et al. 2015, https://doi.org/10.1007/978-3-319-24574-4_28, equation 2), which sums the
    distances to the two nearest cells. A mask of two classes has no single parcels, so d is the distance to the nearest
    labelled pixel that touches the other class. An ignored pixel is never on an edge and hides the class beyond it.
    Pixels farther than 3 sigma from every edge in row or column have weight 1.

    Args:
        mask: (B, H, W) integer labels.
        edge_weight: Added weight of a pixel on an edge.
        sigma: Pixels over which the added weight falls off.

    Returns:
        (B, H, W) float32.
    """
    near = (boundary_mask(mask, width=1) == CROPLAND).float()
    # exp(-(dx² + dy²)) = exp(-dx²) exp(-dy²): search along the rows, then along the columns.
    for axis in (-1, -2):
        near = _fall_off(near, sigma, axis)
    return 1 + edge_weight * near


def _fall_off(near: Tensor, sigma: float, axis: int) -> Tensor:
    """Largest value along an axis, weighted by a Gaussian of the distance."""
    largest = near.clone()
    for distance in range(1, min(math.ceil(3 * sigma), near.shape[axis] - 1) + 1):
        faded = near * math.exp(-(distance**2) / (2 * sigma**2))
        left = near.shape[axis] - distance
        for start, other in ((0, distance), (distance, 0)):
            part = largest.narrow(axis, start, left)
            part.copy_(torch.maximum(part, faded.narrow(axis, other, left)))
    return largest
