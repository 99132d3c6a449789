"""Confusion counts by stratum: soil, district, crop, or whatever else a raster of codes or polygons tell."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import RasterError
from seg.evaluation.pairs import Strata, is_vector
from seg.evaluation.tiles import KINDS, Counts
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.burn import Layer, burn_window
from seg.raster.chips import BoolMask, ByteMask, read_band
from seg.raster.grid import Grid, open_raster
from seg.raster.parcels import read_parcels
from seg.raster.touched import on_lattice
from seg.raster.vector_classes import VectorClasses

NO_STRATUM = "(none)"
MOST_STRATA = 1000


class StratumSource(Protocol):
    """Tells the stratum of the pixels of a window."""

    def read(self, window: Window) -> tuple[npt.NDArray[np.generic], BoolMask]:
        """The codes, (H, W), and where there is one."""

    def name(self, code: float) -> str:
        """The stratum of a code."""


@dataclass(frozen=True)
class _CodeRaster:
    dataset: DatasetReader

    def read(self, window: Window) -> tuple[npt.NDArray[np.generic], BoolMask]:
        return read_band(self.dataset, 1, window)

    def name(self, code: float) -> str:
        return f"{code:g}" if isinstance(code, float) else str(code)


@dataclass(frozen=True)
class _BurntClasses:
    layers: list[Layer]
    names: list[str]

    def read(self, window: Window) -> tuple[npt.NDArray[np.generic], BoolMask]:
        codes = burn_window(self.layers, window, IGNORE)
        return codes, codes != IGNORE

    def name(self, code: float) -> str:
        return self.names[int(code)]


@contextmanager
def open_strata(strata: Strata, grid: Grid) -> Iterator[StratumSource]:
    """The strata of a scene. Where polygons overlap, the value that comes last in the alphabet counts.

    Args:
        strata: What tells them.
        grid: The scene's.

    Raises:
        RasterError: The file cannot be read, its polygons lie elsewhere, or it has no such column.
    """
    if is_vector(strata.path):
        source = VectorClasses(strata.path, str(strata.attribute), strata.layer, "--stratum-{}")
        parcels = read_parcels(source, grid)
        placed = shapely.transform(parcels.polygons, on_lattice)
        layers = [Layer(code, placed[parcels.labels == code]) for code in range(len(source.names))]
        yield _BurntClasses(layers, source.names)
        return
    with open_raster(strata.path) as dataset:
        yield _CodeRaster(dataset)


@dataclass
class StratumCounts:
    """The counts of each stratum by its name, (5,) as `TileCounts` has them; labelled pixels without a stratum too.

    Attributes:
        path: Of the strata, for errors.
        counts: What was counted so far.
    """

    path: Path
    counts: dict[str, Counts] = field(default_factory=dict)

    def add(self, source: StratumSource, window: Window, mapped: ByteMask, labels: ByteMask) -> None:
        """Count a window.

        Args:
            source: The strata.
            window: The pixels.
            mapped: (H, W) classes of the map.
            labels: (H, W) of the reference.

        Raises:
            RasterError: There are too many strata.
        """
        codes, valid = source.read(window)
        labelled = labels != IGNORE
        kinds = _kinds(mapped, labels)
        inside = labelled & valid
        found, place = np.unique(codes[inside], return_inverse=True)
        table = np.bincount(place * KINDS + kinds[inside], minlength=len(found) * KINDS).reshape(-1, KINDS)
        for code, counts in zip(found.tolist(), table, strict=True):
            self._add(source.name(code), counts)
        outside = labelled & ~valid
        if outside.any():
            self._add(NO_STRATUM, np.bincount(kinds[outside], minlength=KINDS))

    def _add(self, name: str, counts: Counts) -> None:
        self.counts[name] = self.counts.get(name, np.zeros(KINDS, dtype=np.int64)) + counts
        if len(self.counts) > MOST_STRATA:
            raise RasterError(
                f"{self.path}: has more than {MOST_STRATA} different values; wanted strata, so give a raster of codes"
            )


def _kinds(mapped: ByteMask, labels: ByteMask) -> npt.NDArray[np.int64]:
    """What each labelled pixel counts as, (H, W): its place among the five counts."""
    kinds = np.full(mapped.shape, KINDS - 1, dtype=np.int64)
    for kind, (here, wanted) in enumerate(((CROPLAND, CROPLAND), (CROPLAND, OTHER), (OTHER, CROPLAND), (OTHER, OTHER))):
        kinds[(mapped == here) & (labels == wanted)] = kind
    return kinds
