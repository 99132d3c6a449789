"""Classes of a change map, and the probability of a mapped change."""

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
"""RGBA, 0 to 255. Blue and orange differ under any colour vision, and stand out from unchanged pixels."""

PERCENT = 100


def change_classes(before: ByteMask, after: ByteMask) -> ByteMask:
    """(H, W) class of change of each pixel; IGNORE where one of the two maps has no class.

    Args:
        before: (H, W) classes of the earlier map: OTHER, CROPLAND or IGNORE.
        after: (H, W) classes of the later map.
    """
    was, is_now = before == CROPLAND, after == CROPLAND
    classes = np.where(was, np.where(is_now, STABLE_CROPLAND, LOST), np.where(is_now, GAINED, STABLE_OTHER))
    classes[(before == IGNORE) | (after == IGNORE)] = IGNORE
    return classes.astype(np.uint8)


def change_percent(classes: ByteMask, before: ByteMask, after: ByteMask, valid: BoolMask) -> ByteMask:
    """(H, W) probability of each mapped change in whole percent; IGNORE if a pixel has no change or no probability.

    A mapped change is real only if both maps are right. If the errors of the maps are independent, the probability of
    the change is the product of two probabilities. If both maps err at the same pixels, the true probability is
    lower; if they err at different pixels, it is higher.

    Args:
        classes: (H, W) classes of change.
        before: (H, W) probability of cropland in the earlier map in percent, 0 to 100.
        after: (H, W) probability of cropland in the later map in percent.
        valid: (H, W) True where both probabilities are known.
    """
    # Integer arithmetic rounds halves in the same way on every machine.
    first, second = before.astype(np.uint16), after.astype(np.uint16)
    products = np.where(classes == GAINED, (PERCENT - first) * second, first * (PERCENT - second))
    percent: ByteMask = ((products + PERCENT // 2) // PERCENT).astype(np.uint8)
    percent[~valid | ((classes != GAINED) & (classes != LOST))] = IGNORE
    return percent
