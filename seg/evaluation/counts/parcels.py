"""Parcel scores: precision, recall and F1 of matched parcels, over-segmentation and under-segmentation.

Parcels of a map or a raster reference are 4-connected components of cropland among the compared pixels. Parcels of a
vector reference are its polygons, even if they touch. A mapped and a reference parcel match if their intersection over
union is above a threshold. If the threshold is at least 0.5, a parcel has at most one match (Kirillov et al. 2019,
https://doi.org/10.1109/CVPR.2019.00963).
"""

import math
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from seg.evaluation.counts.confusion import ratio
from seg.labels import CROPLAND
from seg.raster.chips import ByteMask
from seg.raster.components import ComponentLabels, Ids
from seg.raster.vectors.burning import NumberedPolygons


@dataclass(frozen=True)
class ParcelCounts:
    """Parcel counts and error sums, which add up over scenes.

    Attributes:
        reference: Parcels of the reference.
        mapped: Parcels of the map.
        matched: Pairs with an intersection over union above the threshold.
        overlapped: Parcels of the reference that overlap a mapped parcel.
        over: Sum of the over-segmentation errors of the overlapped parcels.
        under: Sum of the under-segmentation errors of the overlapped parcels.
    """

    reference: int = 0
    mapped: int = 0
    matched: int = 0
    overlapped: int = 0
    over: float = 0.0
    under: float = 0.0

    def __add__(self, more: "ParcelCounts") -> "ParcelCounts":
        return ParcelCounts(*(one + other for one, other in zip(astuple(self), astuple(more), strict=True)))

    @property
    def precision(self) -> float | None:
        """Share of the mapped parcels that match a reference parcel."""
        return ratio(self.matched, self.mapped)

    @property
    def recall(self) -> float | None:
        """Share of the reference parcels that match a mapped parcel."""
        return ratio(self.matched, self.reference)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        return ratio(2 * self.matched, self.mapped + self.reference)

    @property
    def over_segmentation(self) -> float | None:
        """Mean of 1 - |R and M| / |R| for reference parcels R, where M is the mapped parcel that shares most of R.

        The error is 0 if each R is covered by one mapped parcel, and near 1 if the map splits parcels into many parts.
        Source: Persello and Bruzzone (2010), https://doi.org/10.1109/TGRS.2009.2029570. The mean is taken over
        reference parcels that overlap a mapped parcel; other reference parcels lower the recall.
        """
        return self.over / self.overlapped if self.overlapped else None

    @property
    def under_segmentation(self) -> float | None:
        """Mean of 1 - |R and M| / |M|, with R and M as in `over_segmentation`.

        The error is 0 if each M lies within one R, and near 1 if mapped parcels merge many reference parcels.
        """
        return self.under / self.overlapped if self.overlapped else None


class ParcelOverlaps:
    """Overlap in pixels of mapped and reference parcels, collected window by window.

    Memory holds a few numbers for each pair of parcels that overlap in a window.

    Args:
        width: Columns of the raster.
        polygons: Parcels of the reference; None to use the connected components of the reference's cropland.
    """

    def __init__(self, width: int, polygons: NumberedPolygons | None = None) -> None:
        self._mapped, self._reference = ComponentLabels(width), ComponentLabels(width)
        self._polygons = polygons
        self._found: list[npt.NDArray[np.int64]] = []

    def add(self, window: Window, mapped: ByteMask, labels: ByteMask) -> None:
        """Add the overlaps of a window.

        Args:
            window: The window; windows must tile the raster row by row.
            mapped: (H, W) classes of the map.
            labels: (H, W) labels of the reference.
        """
        compared = (mapped <= CROPLAND) & (labels <= CROPLAND)
        parcels = self._mapped.label(window, compared & (mapped == CROPLAND))
        true_cropland = compared & (labels == CROPLAND)
        if self._polygons is None:
            true_parcels = self._reference.label(window, true_cropland)
        else:
            true_parcels = np.where(true_cropland, self._polygons.read(window), 0)
        self._found.append(_counted(*_runs(parcels.ravel(), true_parcels.ravel())))

    def counts(self, threshold: float, smallest: int = 1) -> ParcelCounts:
        """Parcel counts of all windows together.

        Args:
            threshold: Intersection over union above which two parcels match, 0.5 or more.
            smallest: Smallest parcel to count, in pixels; the limit holds in map and reference.
        """
        mapped, reference, pixels = np.concatenate([np.zeros((3, 0), np.int64), *self._found], axis=1)
        if self._polygons is None:
            reference = self._reference.final()[reference]
        mapped, reference, pixels = _counted(self._mapped.final()[mapped], reference, pixels)
        mapped_area, true_area = _areas(mapped, pixels), _areas(reference, pixels)
        large, true_large = mapped_area >= smallest, true_area >= smallest
        both = (mapped > 0) & (reference > 0) & large[mapped] & true_large[reference]
        mapped, reference, pixels = mapped[both], reference[both], pixels[both]
        matched = pixels > threshold * (mapped_area[mapped] + true_area[reference] - pixels)
        # The overlaps of each reference parcel are sorted, the largest first. If overlaps are equal, the smaller mapped
        # parcel comes first.
        order = np.lexsort((mapped_area[mapped], -pixels, reference))
        best = order[np.unique(reference[order], return_index=True)[1]]
        return ParcelCounts(
            reference=int(np.count_nonzero(true_large[1:])),
            mapped=int(np.count_nonzero(large[1:])),
            matched=int(np.count_nonzero(matched)),
            overlapped=len(best),
            # The order of parcels depends on the windows; the result of fsum does not depend on the order.
            over=math.fsum(1 - pixels[best] / true_area[reference[best]]),
            under=math.fsum(1 - pixels[best] / mapped_area[mapped[best]]),
        )


def _runs(mapped: Ids, reference: Ids) -> tuple[Ids, Ids, Ids]:
    """Runs of pixels in the same two parcels: both labels and the number of pixels; background runs are left out.

    Fields are wide, so there are far fewer runs to sort than pixels.
    """
    changes = (mapped[1:] != mapped[:-1]) | (reference[1:] != reference[:-1])
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    pixels = np.diff(starts, append=len(mapped))
    mapped, reference = mapped[starts], reference[starts]
    some = (mapped > 0) | (reference > 0)
    return mapped[some], reference[some], pixels[some]


def _counted(mapped: Ids, reference: Ids, pixels: Ids) -> npt.NDArray[np.int64]:
    """Distinct pairs of parcels with the sum of their pixels, (3, N)."""
    places = int(reference.max(initial=0)) + 1
    pairs, place = np.unique(mapped * places + reference, return_inverse=True)
    return np.stack([pairs // places, pairs % places, _sums(place, pixels, len(pairs))])


def _areas(numbers: Ids, pixels: Ids) -> Ids:
    """Size of each parcel in pixels, indexed by the number of the parcel; number 0 means no parcel."""
    return _sums(numbers, pixels, int(numbers.max(initial=0)) + 1)


def _sums(numbers: Ids, pixels: Ids, count: int) -> Ids:
    """(count,) sums of pixels by number, as exact integers; bincount would add floats."""
    sums = np.zeros(count, dtype=np.int64)
    np.add.at(sums, numbers, pixels)
    return sums
