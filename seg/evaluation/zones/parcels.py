"""Parcels of a map by zone; each parcel belongs to the zone that holds most of its pixels."""

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from seg.raster.chips import BoolMask
from seg.raster.components import ComponentLabels, Ids


class ZoneParcels:
    """Number of parcels by zone, counted window by window.

    A parcel is a 4-connected component of cropland. If two zones hold the same number of its pixels, the parcel belongs
    to the zone with the smaller number. A parcel that touches no edge of its window is counted at once. Memory holds
    the parts of all other parcels, and one number for each component of a window.

    Args:
        width: Columns of the map.
        zones: Number of zones. Zones are numbered from 1; number 0 stands for pixels outside all zones.
        smallest: Smallest parcel to count, in pixels.
    """

    def __init__(self, width: int, zones: int, smallest: int = 1) -> None:
        self._components = ComponentLabels(width)
        self._zones, self._smallest = zones + 1, smallest
        self._complete = np.zeros(zones + 1, dtype=np.int64)
        self._parts: list[Ids] = []

    def add(self, window: Window, cropland: BoolMask, zone: npt.NDArray[np.int64]) -> None:
        """Add the parcels of a window.

        Args:
            window: The window; windows must tile the map row by row.
            cropland: (H, W) True for cropland.
            zone: (H, W) number of the zone of each pixel.
        """
        labels = self._components.label(window, cropland)
        if not cropland.any():
            return
        sides = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        # Neighbouring pixels mostly have the same key, so sorting the runs of equal keys is faster than sorting pixels.
        row = np.where(cropland, labels * self._zones + zone, -1).ravel()
        starts = np.concatenate([[0], np.flatnonzero(row[1:] != row[:-1]) + 1])
        lengths = np.diff(starts, append=len(row))
        inside = row[starts] >= 0
        keys, pixels = _summed(row[starts][inside], lengths[inside])
        parts = np.stack([keys // self._zones, keys % self._zones, pixels])
        open_parts = np.isin(parts[0], sides)
        self._complete += self._counted(parts[:, ~open_parts])
        self._parts.append(parts[:, open_parts])

    def counts(self) -> npt.NDArray[np.int64]:
        """(Z + 1,) number of parcels in each zone. Call this method after the last window."""
        parts = np.concatenate([np.zeros((3, 0), np.int64), *self._parts], axis=1)
        parts[0] = self._components.final()[parts[0]]
        keys, pixels = _summed(parts[0] * self._zones + parts[1], parts[2])
        return self._complete + self._counted(np.stack([keys // self._zones, keys % self._zones, pixels]))

    def _counted(self, parts: Ids) -> npt.NDArray[np.int64]:
        """Parcels in each zone, from (3, N) parcel, zone and pixels; each pair of parcel and zone occurs once."""
        parcel, zone, pixels = parts
        order = np.lexsort((zone, -pixels, parcel))
        first = np.unique(parcel[order], return_index=True)[1]
        size = _summed(parcel, pixels)[1]
        return np.bincount(zone[order][first][size >= self._smallest], minlength=self._zones)


def _summed(keys: Ids, pixels: Ids) -> tuple[Ids, Ids]:
    """Distinct keys, sorted, and the sum of the pixels of each key."""
    distinct, place = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(sums, place, pixels)
    return distinct, sums
