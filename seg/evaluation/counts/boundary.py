"""Boundary scores: shares of the mapped and true cropland boundaries that lie within a distance of each other.

Pixels without a label or a mapped class belong to no boundary. The raster's edge is not a boundary either. Distances
are measured between pixel centres. Windows are read with a margin, so that their counts add up to the counts of the
whole raster.
"""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import cv2
import numpy as np

from seg.evaluation.counts.confusion import ratio
from seg.labels import CROPLAND, OTHER
from seg.raster.chips import BoolMask, ByteMask
from seg.raster.grid import Grid
from seg.raster.ground.distances import ground_pixel

_ROUNDING = 1e-9
"""Relative margin of a tolerance. Without the margin, rounding could exclude a distance equal to the tolerance."""

Core = tuple[slice, slice]

DEFAULT_PIXELS = (1, 2, 4)
"""Tolerances in pixels if none are given."""


@dataclass(frozen=True)
class Reach:
    """Neighbourhood of a pixel within a distance.

    Attributes:
        columns: (rows + 1,) number of columns on each side: first in the pixel's own row, then one row away, two rows
            away, and so on.
    """

    columns: tuple[int, ...]

    @property
    def margin(self) -> int:
        """Width in pixels of the margin around a window that affects the counts of the window."""
        # The margin has one more pixel, since the neighbours of a pixel decide if the pixel is on the boundary.
        return max(len(self.columns) - 1, *self.columns) + 1


def reach(tolerance: float, pixel: tuple[float, float]) -> Reach:
    """Neighbourhood of a pixel within a distance.

    Args:
        tolerance: The distance, at least 0.
        pixel: Height and width of a pixel, in the same unit.
    """
    height, width = pixel
    limit = tolerance * (1 + _ROUNDING)
    rows = math.floor(limit / height)
    return Reach(tuple(math.floor(math.sqrt(limit**2 - (row * height) ** 2) / width) for row in range(rows + 1)))


@dataclass(frozen=True)
class Tolerances:
    """Distances at which boundaries are scored.

    Attributes:
        values: The distances, ascending.
        metric: True for metres, False for pixels.
    """

    values: tuple[float, ...]
    metric: bool

    def reaches(self, grid: Grid) -> list[Reach]:
        """Neighbourhoods in pixels of a scene, one for each distance.

        Args:
            grid: Grid of the scene.
        """
        pixel = (ground_pixel(grid) if self.metric else None) or (1.0, 1.0)
        return [reach(value, pixel) for value in self.values]


def fitting_tolerances(grids: Sequence[Grid], wanted: Sequence[float] | None) -> Tolerances:
    """Tolerances for scenes, in metres if every scene is georeferenced, otherwise in pixels.

    Args:
        grids: Grids of the scenes.
        wanted: Requested distances; None for one, two and four pixels of the coarsest scene.
    """
    pixels = [ground_pixel(grid) for grid in grids]
    sides = [max(pixel) for pixel in pixels if pixel is not None]
    metric = len(sides) == len(pixels)
    if wanted is not None:
        return Tolerances(tuple(sorted(set(wanted))), metric)
    # Tolerances are rounded up to centimetres, so that the side of a pixel is within the tolerance.
    side = math.ceil(round(max(sides) * 100, 6)) / 100 if metric else 1.0
    return Tolerances(tuple(side * pixels for pixels in DEFAULT_PIXELS), metric)


@dataclass(frozen=True)
class BoundaryCounts:
    """Pixel counts at one tolerance, which sum exactly over windows and scenes.

    Scores are None if the reference has no boundary, for example because strips without labels separate the two
    classes.

    Attributes:
        mapped: Boundary pixels of the map: cropland pixels next to a pixel of class other.
        mapped_near: Boundary pixels of the map within the tolerance of the reference's boundary.
        reference: Boundary pixels of the reference.
        reference_near: Boundary pixels of the reference within the tolerance of the map's boundary.
        shared: Pixels that are cropland within the tolerance of class other, both in the map and in the reference.
        either: Pixels that are cropland within the tolerance of class other in the map, in the reference or in both.
    """

    mapped: int = 0
    mapped_near: int = 0
    reference: int = 0
    reference_near: int = 0
    shared: int = 0
    either: int = 0

    def __add__(self, more: "BoundaryCounts") -> "BoundaryCounts":
        return BoundaryCounts(*(one + other for one, other in zip(astuple(self), astuple(more), strict=True)))

    @property
    def precision(self) -> float | None:
        """Share of the mapped boundary near the true boundary."""
        return ratio(self.mapped_near, self.mapped) if self.reference else None

    @property
    def recall(self) -> float | None:
        """Share of the true boundary near the mapped boundary."""
        return ratio(self.reference_near, self.reference)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall (Csurka et al. 2013, https://doi.org/10.5244/C.27.32)."""
        precision, recall = self.precision, self.recall
        if recall is None:
            return None
        if not precision or not recall:
            return 0.0
        return 2 * precision * recall / (precision + recall)

    @property
    def iou(self) -> float | None:
        """Boundary IoU (Cheng et al. 2021, https://doi.org/10.1109/CVPR46437.2021.01508) with Euclidean distances."""
        return ratio(self.shared, self.either) if self.reference else None


def count_boundary(mapped: ByteMask, labels: ByteMask, core: Core, reaches: Sequence[Reach]) -> list[BoundaryCounts]:
    """Count the core of a window at each tolerance.

    Args:
        mapped: (H, W) classes of the map: the core with `Reach.margin` pixels around it.
        labels: (H, W) labels of the reference.
        core: Rows and columns of the counted pixels.
        reaches: Neighbourhoods of the tolerances.
    """
    compared = (mapped <= CROPLAND) & (labels <= CROPLAND)
    map_crop, map_other, map_edge = _classes(mapped, compared)
    true_crop, true_other, true_edge = _classes(labels, compared)
    counts = []
    for distance in reaches:
        map_band = map_crop & near(map_other, distance)
        true_band = true_crop & near(true_other, distance)
        found = (
            map_edge,
            map_edge & near(true_edge, distance),
            true_edge,
            true_edge & near(map_edge, distance),
            map_band & true_band,
            map_band | true_band,
        )
        counts.append(BoundaryCounts(*(int(np.count_nonzero(pixels[core])) for pixels in found)))
    return counts


def edge_pixels(inside: BoolMask, outside: BoolMask) -> BoolMask:
    """(H, W) pixels of `inside` with a pixel of `outside` above, below, to the left or to the right."""
    beside = np.zeros_like(outside)
    beside[1:] |= outside[:-1]
    beside[:-1] |= outside[1:]
    beside[:, 1:] |= outside[:, :-1]
    beside[:, :-1] |= outside[:, 1:]
    return inside & beside


def near(inside: BoolMask, distance: Reach) -> BoolMask:
    """(H, W) pixels with a pixel of `inside` in their neighbourhood.

    Args:
        inside: (H, W) bool.
        distance: The neighbourhood.
    """
    found = np.zeros_like(inside)
    widened, reached = np.ascontiguousarray(inside).view(np.uint8), 0
    # The farthest row has the fewest columns, so each row widens the previous row.
    for row, columns in reversed([*enumerate(distance.columns)]):
        if columns > reached:
            along = np.ones((1, 2 * (columns - reached) + 1), np.uint8)
            widened = np.asarray(cv2.dilate(widened, along, borderType=cv2.BORDER_CONSTANT, borderValue=0), np.uint8)
            reached = columns
        beside, rows = widened.view(bool), max(len(found) - row, 0)
        found[row:] |= beside[:rows]
        found[:rows] |= beside[row:]
    return found


def _classes(classes: ByteMask, compared: BoolMask) -> tuple[BoolMask, BoolMask, BoolMask]:
    """(H, W) masks of the compared pixels: cropland, class other, and the boundary of cropland."""
    cropland, other = compared & (classes == CROPLAND), compared & (classes == OTHER)
    return cropland, other, edge_pixels(cropland, other)
