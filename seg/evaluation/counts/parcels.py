"""Scores of parcels: which of the reference were found, and how far the map cuts or merges them.

A parcel of a map is a 4-connected component of cropland among the compared pixels. So is one of a raster reference;
a vector reference says itself which are its parcels, even where they touch. A mapped parcel and one of the reference
match where their intersection over union is above the threshold; at 0.5 or more, each has one partner at most (Kirillov
et al. 2019, https://doi.org/10.1109/CVPR.2019.00963).
"""

import math
from dataclasses import dataclass

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
    """What became of the parcels; sums over scenes stay comparable.

    Attributes:
        reference: Parcels of the reference.
        mapped: Parcels of the map.
        matched: Pairs whose intersection over union is above the threshold.
        overlapped: Parcels of the reference that share a pixel with some mapped one.
        over: Sum of their over-segmentation errors.
        under: Sum of their under-segmentation errors.
    """

    reference: int = 0
    mapped: int = 0
    matched: int = 0
    overlapped: int = 0
    over: float = 0.0
    under: float = 0.0

    def __add__(self, more: "ParcelCounts") -> "ParcelCounts":
        return ParcelCounts(
            self.reference + more.reference,
            self.mapped + more.mapped,
            self.matched + more.matched,
            self.overlapped + more.overlapped,
            self.over + more.over,
            self.under + more.under,
        )

    @property
    def precision(self) -> float | None:
        """Share of the mapped parcels that match one of the reference."""
        return ratio(self.matched, self.mapped)

    @property
    def recall(self) -> float | None:
        """Share of the parcels of the reference that match a mapped one."""
        return ratio(self.matched, self.reference)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of the two."""
        return ratio(2 * self.matched, self.mapped + self.reference)

    @property
    def over_segmentation(self) -> float | None:
        """Mean of 1 - |R and M| / |R|, where M is the mapped parcel that shares most pixels with the reference's R.

        0 where one mapped parcel covers each R, near 1 where they are cut to pieces. Persello and Bruzzone (2010),
        https://doi.org/10.1109/TGRS.2009.2029570; over the parcels that some mapped one overlaps, since the others are
        errors of recall.
        """
        return self.over / self.overlapped if self.overlapped else None

    @property
    def under_segmentation(self) -> float | None:
        """Mean of 1 - |R and M| / |M|: 0 where mapped parcels keep within one R each, near 1 where they merge many."""
        return self.under / self.overlapped if self.overlapped else None


class ParcelOverlaps:
    """Collects, window by window, how many pixels each mapped parcel shares with each of the reference.

    Memory holds a few numbers for each pair of parcels that overlap in a window, but no pixels.

    Args:
        width: Columns of the raster.
        polygons: The parcels of the reference; None takes its components.
    """

    def __init__(self, width: int, polygons: NumberedPolygons | None = None) -> None:
        self._mapped, self._reference = ComponentLabels(width), ComponentLabels(width)
        self._polygons = polygons
        self._found: list[npt.NDArray[np.int64]] = []

    def add(self, window: Window, mapped: ByteMask, labels: ByteMask) -> None:
        """Count a window.

        Args:
            window: Windows tile the raster row by row.
            mapped: (H, W) classes of the map.
            labels: (H, W) of the reference.
        """
        compared = (mapped <= CROPLAND) & (labels <= CROPLAND)
        parcels = self._mapped.label(window, compared & (mapped == CROPLAND))
        true_cropland = compared & (labels == CROPLAND)
        if self._polygons is None:
            true_parcels = self._reference.label(window, true_cropland)
        else:
            true_parcels = np.where(true_cropland, self._polygons.read(window), 0)
        some = (parcels > 0) | (true_parcels > 0)
        self._found.append(_counted(parcels[some], true_parcels[some], np.ones(np.count_nonzero(some), np.int64)))

    def counts(self, threshold: float, smallest: int = 1) -> ParcelCounts:
        """What became of the parcels of all windows.

        Args:
            threshold: Intersection over union above which two parcels match, 0.5 or more.
            smallest: Parcels of fewer pixels are left out, as if neither map nor reference had them.
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
        # The largest overlap of each parcel comes first; of two that are equal, that with the smaller mapped parcel.
        order = np.lexsort((mapped_area[mapped], -pixels, reference))
        best = order[np.unique(reference[order], return_index=True)[1]]
        return ParcelCounts(
            reference=int(np.count_nonzero(true_large[1:])),
            mapped=int(np.count_nonzero(large[1:])),
            matched=int(np.count_nonzero(matched)),
            overlapped=len(best),
            # Sums that do not depend on the order, which the windows change.
            over=math.fsum(1 - pixels[best] / true_area[reference[best]]),
            under=math.fsum(1 - pixels[best] / mapped_area[mapped[best]]),
        )


def _counted(mapped: Ids, reference: Ids, pixels: Ids) -> npt.NDArray[np.int64]:
    """The different pairs of two parcels and their pixels in all, (3, N)."""
    places = int(reference.max(initial=0)) + 1
    pairs, place = np.unique(mapped * places + reference, return_inverse=True)
    return np.stack([pairs // places, pairs % places, _sums(place, pixels, len(pairs))])


def _areas(numbers: Ids, pixels: Ids) -> Ids:
    """The pixels of each parcel by its number; those of number 0 are of none."""
    return _sums(numbers, pixels, int(numbers.max(initial=0)) + 1)


def _sums(numbers: Ids, pixels: Ids, count: int) -> Ids:
    """The pixels of each number below a count, (count,); in integers, as bincount would add them up as floats."""
    sums = np.zeros(count, dtype=np.int64)
    np.add.at(sums, numbers, pixels)
    return sums
