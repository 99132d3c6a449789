"""The classes of a change map, and how probable a mapped change is."""

import numpy as np

from seg.labels import CROPLAND, IGNORE
from seg.raster.chips import BoolMask, ByteMask

STABLE_OTHER, STABLE_CROPLAND, GAINED, LOST = range(4)

CHANGE_NAMES = {
    STABLE_OTHER: "stable other",
    STABLE_CROPLAND: "stable cropland",
    GAINED: "gained cropland",
    LOST: "lost cropland",
}

CHANGE_COLOURS = {
    STABLE_OTHER: (216, 210, 196, 255),
    STABLE_CROPLAND: (146, 173, 138, 255),
    GAINED: (0, 68, 136, 255),
    LOST: (221, 102, 51, 255),
    IGNORE: (0, 0, 0, 0),
}
"""RGBA, 0 to 255: blue and orange differ for everyone, and stand out from what stayed."""

PERCENT = 100


def change_classes(before: ByteMask, after: ByteMask) -> ByteMask:
    """The change of each pixel, IGNORE where either map has no value.

    Args:
        before: (H, W) OTHER, CROPLAND or IGNORE.
        after: Likewise.
    """
    was, is_now = before == CROPLAND, after == CROPLAND
    classes = np.where(was, np.where(is_now, STABLE_CROPLAND, LOST), np.where(is_now, GAINED, STABLE_OTHER))
    classes[(before == IGNORE) | (after == IGNORE)] = IGNORE
    return classes.astype(np.uint8)


def change_percent(classes: ByteMask, before: ByteMask, after: ByteMask, valid: BoolMask) -> ByteMask:
    """How probable each mapped change is, in whole percent; IGNORE where nothing changed or none is known.

    Both maps must be right for a change to be one. If they err independently of each other, that is the product of two
    probabilities. Where the same ground deceives both in the same way, changes are fewer than that says; where one
    is right whenever the other errs, more.

    Args:
        classes: (H, W) of `change_classes`.
        before: (H, W) probability of cropland in percent, 0 to 100.
        after: Likewise.
        valid: (H, W) where both are known.
    """
    # Whole numbers, in which a half is a half.
    first, second = before.astype(np.uint16), after.astype(np.uint16)
    products = np.where(classes == GAINED, (PERCENT - first) * second, first * (PERCENT - second))
    percent: ByteMask = ((products + PERCENT // 2) // PERCENT).astype(np.uint8)
    percent[~valid | ((classes != GAINED) & (classes != LOST))] = IGNORE
    return percent
