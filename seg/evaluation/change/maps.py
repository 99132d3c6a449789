"""Comparison of two maps window by window: change rasters, and areas by class of change."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg import __version__
from seg.errors import ConfigError
from seg.evaluation.area.population import CLASSES_TAG
from seg.evaluation.change.classes import (
    CHANGE_COLOURS,
    CHANGE_NAMES,
    PERCENT,
    change_classes,
    change_percent,
)
from seg.evaluation.pairs import probability_beside
from seg.labels import IGNORE
from seg.raster.chips import ByteMask
from seg.raster.classes import read_classes, read_percent
from seg.raster.grid import (
    Grid,
    open_raster,
    placed_on,
    read_grid,
    require_same_grid,
)
from seg.raster.ground.pixel_areas import SQUARE_METRES_PER_HECTARE, PixelAreas
from seg.raster.windows import window_grid
from seg.raster.writing.cog import CogLayer, write_cog
from seg.terminal.progress import with_progress

WINDOW_SIZE = 1024
"""Side of a window in pixels, a multiple of the output's tiles. Each window takes about 60 MB."""

CLASSES = len(CHANGE_NAMES)


@dataclass(frozen=True)
class Maps:
    """Two maps of one place.

    Attributes:
        before: The earlier class map.
        after: The later class map.
        probabilities: Probability maps of the two class maps, in percent; None if there are no probability maps.
        images: Scenes that were mapped, before and after, for pictures; None for a scene that is not given.
    """

    before: Path
    after: Path
    probabilities: tuple[Path, Path] | None = None
    images: tuple[Path | None, Path | None] = (None, None)

    def grid(self) -> Grid:
        """Common grid of the maps.

        Raises:
            RasterError: A file cannot be read, or the grids differ.
        """
        grid = read_grid(self.after)
        for path in (self.before, *(self.probabilities or ())):
            require_same_grid(read_grid(path), grid)
        for image in self.images:
            if image is not None:
                require_same_grid(placed_on(read_grid(image), grid), grid)
        return grid

    @property
    def files(self) -> list[Path]:
        """Paths of all maps, probability maps and images that are given."""
        found = (self.before, self.after, *(self.probabilities or ()), *self.images)
        return [path for path in found if path is not None]


@dataclass(frozen=True)
class ChangeTally:
    """Totals by class of change.

    Attributes:
        pixels: (4,) number of pixels.
        hectares: (4,) ground area.
        unsupported_ha: (4,) ground area where the probability is unknown or at most the confidence; 0 if there are no
            probability maps.
    """

    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(CLASSES, dtype=np.int64))
    hectares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(CLASSES))
    unsupported_ha: NDArray[np.float64] = field(default_factory=lambda: np.zeros(CLASSES))


def find_maps(before: Path, after: Path, probabilities: tuple[Path | None, Path | None]) -> Maps:
    """Find the probability maps of two class maps: the given files, or the files beside the class maps if both exist.

    Args:
        before: The earlier class map.
        after: The later class map.
        probabilities: Probability map of each class map; None for the file beside the class map whose name ends in
            `_probability`.

    Raises:
        ConfigError: One probability map is given, and the other map has none.
    """
    found = [given or probability_beside(path) for given, path in zip(probabilities, (before, after), strict=True)]
    if found[0] is not None and found[1] is not None:
        return Maps(before, after, (found[0], found[1]))
    if any(probabilities):
        one = 0 if found[0] is None else 1
        raise ConfigError(
            f"{(before, after)[one]}: has no probability map beside it, but one is given for the other map; give both "
            f"(with --{('before', 'after')[one]}-probability) or none"
        )
    return Maps(before, after)


def write_change_map(maps: Maps, output: Path) -> None:
    """Write the classes of change as a COG with a colour table.

    Args:
        maps: The maps to compare.
        output: The file to write.

    Raises:
        RasterError: A map cannot be read or lies on another grid, or the output cannot be written.
    """
    layer = CogLayer(
        nodata=IGNORE,
        description="change of cropland",
        colours=CHANGE_COLOURS,
        tags={
            "SOFTWARE": f"cropland-seg {__version__}",
            "UNITS": ", ".join(f"{value} {name}" for value, name in CHANGE_NAMES.items()),
            CLASSES_TAG: json.dumps({str(value): name for value, name in CHANGE_NAMES.items()}),
        },
        resampling="NEAREST",
    )
    with _opened(maps) as reader:
        parts = ((window, reader.classes(window)) for window in reader.windows("Comparing"))
        write_cog(output, reader.grid, layer, parts)


def write_probability_map(maps: Maps, output: Path) -> None:
    """Write the probability of each mapped change as a COG in percent; 255 if a pixel has no change or no probability.

    Args:
        maps: The maps to compare, with probabilities.
        output: The file to write.

    Raises:
        RasterError: A map cannot be read or lies on another grid, or the output cannot be written.
    """
    layer = CogLayer(
        nodata=IGNORE,
        description="probability of the mapped change",
        scale=1 / PERCENT,
        tags={"SOFTWARE": f"cropland-seg {__version__}"},
    )
    with _opened(maps) as reader:
        parts = ((window, reader.percent(window, reader.classes(window))) for window in reader.windows("Probabilities"))
        write_cog(output, reader.grid, layer, parts)


def tally_change(maps: Maps, confidence: float) -> ChangeTally:
    """Number of pixels and ground area of each class of change.

    Args:
        maps: The maps to compare.
        confidence: Probability above which a change is supported, 0 to 1.

    Raises:
        RasterError: A map cannot be read or lies on another grid, or its ground areas are unknown.
    """
    tally, limit = ChangeTally(), round(PERCENT * confidence, 6)  # In floating point, 100 * 0.57 is not 57.
    with _opened(maps) as reader:
        areas = PixelAreas(reader.grid)
        for window in reader.windows("Measuring"):
            classes = reader.classes(window)
            ground = areas.window(window).ravel() / SQUARE_METRES_PER_HECTARE
            tally.pixels[:] += np.bincount(classes.ravel(), minlength=IGNORE + 1)[:CLASSES]
            tally.hectares[:] += np.bincount(classes.ravel(), ground, IGNORE + 1)[:CLASSES]
            if maps.probabilities:
                percent = reader.percent(window, classes)
                unsupported = ground * ((percent <= limit) | (percent == IGNORE)).ravel()
                tally.unsupported_ha[:] += np.bincount(classes.ravel(), unsupported, IGNORE + 1)[:CLASSES]
    return tally


@dataclass(frozen=True)
class _Reader:
    grid: Grid
    before: DatasetReader
    after: DatasetReader
    probabilities: list[DatasetReader]

    def windows(self, title: str) -> Iterator[Window]:
        grid = self.grid
        cut = list(window_grid(grid.height, grid.width, WINDOW_SIZE, WINDOW_SIZE))
        yield from with_progress(cut, title, len(cut))

    def classes(self, window: Window) -> ByteMask:
        return change_classes(read_classes(self.before, window), read_classes(self.after, window))

    def percent(self, window: Window, classes: ByteMask) -> ByteMask:
        (first, known), (second, also_known) = (read_percent(dataset, window) for dataset in self.probabilities)
        return change_percent(classes, first, second, known & also_known)


@contextmanager
def _opened(maps: Maps) -> Iterator[_Reader]:
    grid = maps.grid()
    with ExitStack() as opened:
        before, after, *probabilities = (
            opened.enter_context(open_raster(path)) for path in (maps.before, maps.after, *(maps.probabilities or ()))
        )
        yield _Reader(grid, before, after, probabilities)
