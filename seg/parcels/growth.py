"""Split touching parcels: each interior grows back over the cropland around it, until it meets another one."""

import numpy as np
from scipy import ndimage

from seg.parcels.corners import Labels
from seg.raster.chips import BoolMask

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
"""For labels of pixels that may touch at a corner only."""


def components(inside: BoolMask) -> Labels:
    """Labels of the 4-connected components, (H, W) int32: 0 outside, the others from 1."""
    labels: Labels = ndimage.label(inside, output=np.int32)[0]
    return labels


def clusters(inside: BoolMask) -> Labels:
    """Labels of the 8-connected components, likewise."""
    labels: Labels = ndimage.label(inside, structure=EIGHT_NEIGHBOURS, output=np.int32)[0]
    return labels


def grown_parcels(
    cropland: BoolMask, interior: BoolMask, distance: int, part: tuple[slice, slice] = (slice(None), slice(None))
) -> Labels:
    """Labels of the parcels that interiors grow to, int32; 0 is no cropland.

    In each of `distance` steps, cropland that has no parcel yet joins that of the pixel above, to the left, to the
    right or below, the first of them that had one before. What no interior reaches makes parcels of its own,
    4-connected. So which interior a pixel joins follows from the pixels that are up to `distance` steps away.

    Args:
        cropland: (H, W).
        interior: (H, W) where parcels are that do not touch; outside of cropland it does not count.
        distance: In pixels, counted along rows and columns.
        part: Rows and columns that are wanted. Of a window of a larger map, those at least `distance` from where it was
            cut: farther out, cropland may look as if no interior reached it, and so join what is separate.
    """
    labels = np.pad(components(interior & cropland), 1)
    flat, width = labels.ravel(), labels.shape[1]
    pending = np.flatnonzero(np.pad(cropland, 1).ravel() & (flat == 0))
    for _ in range(distance):
        found = np.zeros(len(pending), dtype=np.int32)
        for neighbour in (width, 1, -1, -width):  # the last one to be written wins
            candidate = flat[pending + neighbour]
            np.copyto(found, candidate, where=candidate != 0)
        if not found.any():
            break
        flat[pending] = found
        pending = pending[found == 0]
    wanted = labels[1:-1, 1:-1][part]
    rest = cropland[part] & (wanted == 0)
    own = components(rest)
    own[rest] += labels.max()
    return wanted + own
