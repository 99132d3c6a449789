"""Pixels and ground areas of a map by zone, class and reference, counted window by window."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg.evaluation.area.population import OUTSIDE, Population, StratumTally, key
from seg.evaluation.counts.strata import kinds_of
from seg.evaluation.counts.tiles import KINDS
from seg.evaluation.pairs import is_vector
from seg.evaluation.reading import open_reference
from seg.evaluation.zones.parcels import ZoneParcels
from seg.evaluation.zones.polygons import Zones
from seg.evaluation.zones.settings import ZoneSettings
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.classes import read_classes
from seg.raster.grid import open_raster, placed_on, read_grid, require_same_grid
from seg.raster.ground.pixel_areas import PixelAreas
from seg.raster.windows import window_grid
from seg.terminal.progress import with_progress

WINDOW_SIZE = 1024
"""Side of a window in pixels, a multiple of common tile sizes. Each window takes about 60 MB."""

CLASSES = (OTHER, CROPLAND, IGNORE)
"""Classes of the map, in the order of the columns of the counts."""

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Pixels and their ground area by zone and by kind.

    Row 0 stands for pixels outside all zones. A kind is a class of the map, a pair of class and label, or a stratum.

    Attributes:
        pixels: (Z + 1, K) number of pixels.
        m2: (Z + 1, K) ground area in square metres.
    """

    pixels: Integers
    m2: Floats

    @staticmethod
    def empty(zones: int, kinds: int) -> "Counts":
        """Counts that are all 0.

        Args:
            zones: Number of zones.
            kinds: Number of kinds.
        """
        return Counts(np.zeros((zones + 1, kinds), dtype=np.int64), np.zeros((zones + 1, kinds)))

    def add(self, zone: Integers, kind: Integers, ground: Floats) -> None:
        """Add N pixels.

        Args:
            zone: (N,) numbers of the zones.
            kind: (N,) numbers of the kinds.
            ground: (N,) ground areas in square metres.
        """
        kinds = self.pixels.shape[1]
        keys = zone * kinds + kind
        self.pixels[:] += np.bincount(keys, minlength=self.pixels.size).reshape(self.pixels.shape)
        self.m2[:] += np.bincount(keys, ground, self.m2.size).reshape(self.m2.shape)


@dataclass(frozen=True)
class ZoneTally:
    """Totals of a map by zone; row 0 stands for pixels outside all zones.

    Attributes:
        classes: Pixels by class: other, cropland, and pixels without a class.
        parcels: (Z + 1,) number of parcels.
        confusion: Labelled pixels by the kinds of `TileCounts`; None if there is no reference.
    """

    classes: Counts
    parcels: Integers
    confusion: Counts | None


def tally_zones(prediction: Path, zones: Zones, reference: Path | None, settings: ZoneSettings) -> ZoneTally:
    """Count the pixels of a map by zone.

    Args:
        prediction: The class map: 0 other, 1 cropland, 255 or nodata for no class.
        zones: Zones on the grid of the map.
        reference: A mask on the same grid, or a file of polygons; None for no comparison.
        settings: Options for reading the reference, and the smallest parcel to count.

    Raises:
        RasterError: A file cannot be read, lies on another grid or holds other values, or the ground areas of the map
            are unknown.
    """
    grid = read_grid(prediction)
    if reference is not None and not is_vector(reference):
        require_same_grid(grid, placed_on(read_grid(reference), grid))
    areas = PixelAreas(grid)
    classes = Counts.empty(len(zones), len(CLASSES))
    confusion = None if reference is None else Counts.empty(len(zones), KINDS)
    parcels = ZoneParcels(grid.width, len(zones), settings.min_parcel)
    with ExitStack() as opened:
        class_map = opened.enter_context(open_raster(prediction))
        labels = None
        if reference is not None:
            labels = opened.enter_context(open_reference(reference, grid, settings.reading)).labels
        cut = list(window_grid(grid.height, grid.width, WINDOW_SIZE, WINDOW_SIZE))
        for window in with_progress(cut, "Counting", len(cut)):
            mapped, zone, ground = read_classes(class_map, window), zones.read(window), areas.window(window)
            kind = np.where(mapped == IGNORE, CLASSES.index(IGNORE), mapped).astype(np.int64)
            classes.add(zone.ravel(), kind.ravel(), ground.ravel())
            parcels.add(window, mapped == CROPLAND, zone)
            if labels is not None and confusion is not None:
                wanted = labels(window)
                known = wanted != IGNORE
                confusion.add(zone[known], kinds_of(mapped, wanted)[known], ground[known])
    return ZoneTally(classes, parcels.counts(), confusion)


def tally_strata(population: Population, strata: Sequence[StratumTally], zones: Zones) -> Counts:
    """Count the pixels of the strata of a sample by zone.

    Args:
        population: The sampled map, and the zones within which the sample was drawn.
        strata: Strata of the sample; their order is the order of the kinds.
        zones: Zones of the table.

    Raises:
        RasterError: A file cannot be read, or the ground areas of the map are unknown.
    """
    counts = Counts.empty(len(zones), len(strata) + 1)
    areas = PixelAreas(population.grid())
    known = np.array([key(stratum) for stratum in strata], dtype=np.int64)
    order = np.argsort(known)
    for window, keys in population.windows("Counting strata", WINDOW_SIZE):
        place = np.searchsorted(known[order], keys.ravel()).clip(max=len(strata) - 1)
        found = (known[order][place] == keys.ravel()) & (keys.ravel() != OUTSIDE)
        kind = np.where(found, order[place], len(strata))
        counts.add(zones.read(window).ravel(), kind, areas.window(window).ravel())
    return Counts(counts.pixels[:, :-1], counts.m2[:, :-1])
