"""Confusion counts by stratum, such as soil, district or crop, from a raster of codes or from polygons."""

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
from seg.evaluation.counts.tiles import KINDS, Counts
from seg.evaluation.pairs import Strata, is_vector
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.chips import BoolMask, ByteMask, read_band
from seg.raster.grid import Grid, open_raster
from seg.raster.vectors.burning import Layer, burn_window
from seg.raster.vectors.crossed_pixels import on_lattice
from seg.raster.vectors.features import Legend, VectorLabels
from seg.raster.vectors.placing import read_parcels

NO_STRATUM = "(none)"
MOST_STRATA = 1000


class StratumSource(Protocol):
    """Source of strata: a raster of codes, or burnt polygons."""

    def read(self, window: Window) -> tuple[npt.NDArray[np.generic], BoolMask]:
        """(H, W) codes of a window, and (H, W) True where a pixel has a code."""

    def name(self, code: float) -> str:
        """Name of the stratum with a code."""


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
    """Open the strata of a scene. Where polygons overlap, the last value in alphabetical order counts.

    Args:
        strata: The file, and for polygons its column and layer.
        grid: Grid of the scene.

    Raises:
        RasterError: The file cannot be read, no polygon overlaps the scene, or the column is missing.
    """
    if is_vector(strata.path):
        source = VectorClasses(
            strata.path, str(strata.attribute), strata.layer, "--stratum-{}", encoding=strata.encoding
        )
        parcels = read_parcels(source, grid)
        placed = shapely.transform(parcels.polygons, on_lattice)
        layers = [Layer(code, placed[parcels.labels == code]) for code in range(len(source.names))]
        yield _BurntClasses(layers, source.names)
        return
    with open_raster(strata.path) as dataset:
        yield _CodeRaster(dataset)


@dataclass
class StratumCounts:
    """Confusion counts by stratum; labelled pixels without a stratum count as NO_STRATUM.

    Attributes:
        path: File of the strata, for error messages.
        counts: (5,) counts by name of the stratum, in the order of `TileCounts`.
    """

    path: Path
    counts: dict[str, Counts] = field(default_factory=dict)

    def add(self, source: StratumSource, window: Window, mapped: ByteMask, labels: ByteMask) -> None:
        """Add the counts of a window.

        Args:
            source: The strata.
            window: The window.
            mapped: (H, W) classes of the map.
            labels: (H, W) labels of the reference.

        Raises:
            RasterError: There are too many strata.
        """
        codes, valid = source.read(window)
        labelled = labels != IGNORE
        kinds = kinds_of(mapped, labels)
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
                f"{self.path}: has more than {MOST_STRATA} different values; wanted strata, such as a raster of codes"
            )


def kinds_of(mapped: ByteMask, labels: ByteMask) -> npt.NDArray[np.int64]:
    """Index of the count of `TileCounts` to which each labelled pixel belongs, (H, W).

    Args:
        mapped: (H, W) classes of the map.
        labels: (H, W) labels of the reference.
    """
    kinds = np.full(mapped.shape, KINDS - 1, dtype=np.int64)
    for kind, (here, wanted) in enumerate(((CROPLAND, CROPLAND), (CROPLAND, OTHER), (OTHER, CROPLAND), (OTHER, OTHER))):
        kinds[(mapped == here) & (labels == wanted)] = kind
    return kinds


class VectorClasses(VectorLabels):
    """Features of a vector file; each label is the index of the value among the sorted values, or IGNORE if missing.

    Args:
        path: Any vector file that GDAL reads, or GeoParquet.
        column: The column of the classes.
        layer: The layer; None for the only layer.
        options: Pattern of option names in error messages; `--stratum-{}` gives `--stratum-layer` and
            `--stratum-attribute`.
        encoding: Encoding of the text; None for the encoding that the file states.

    Attributes:
        names: Values of the column as text, sorted.

    Raises:
        RasterError: The file cannot be read, lacks the layer, the column or a CRS, or has too many classes.
    """

    def __init__(
        self,
        path: Path,
        column: str,
        layer: str | None = None,
        options: str = "--{}",
        *,
        encoding: str | None = None,
    ) -> None:
        self.names: list[str] = []
        super().__init__(path, layer, legend=Legend(column=column), options=options, encoding=encoding)

    def _check(self) -> list[str]:
        column, option = str(self.legend.column), self.options.format("attribute")
        self.names = self._values(column, option)
        if not 0 < len(self.names) <= IGNORE:
            raise RasterError(
                f"{self.path}: column '{column}' has {len(self.names)} different values; wanted 1 to {IGNORE} "
                f"for {option}, so choose a coarser classification"
            )
        return []

    def _label(self, text: str | None) -> int:
        return IGNORE if text is None else self.names.index(text)
