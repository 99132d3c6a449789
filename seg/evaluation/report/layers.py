"""Rasters of a scene at display size: classes of map and reference, probabilities and imagery."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.evaluation.pairs import Pair
from seg.evaluation.reading import PairReader, open_pair
from seg.evaluation.report.colours import NO_PROBABILITY, pixel_codes
from seg.evaluation.settings import EvaluationSettings
from seg.raster.classes import read_percent
from seg.raster.grid import open_raster
from seg.raster.pictures.composite import Limits, read_composite
from seg.raster.windows import window_grid

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class SceneLayers:
    """Layers of a scene, or of a window of a scene, at some resolution.

    Attributes:
        codes: (H, W) mapped and true class, as in `pixel_codes`.
        probability: (H, W) percent, NO_PROBABILITY if a pixel has no value; None without a probability map.
        image: (H, W, 4) red, green, blue and opacity; None without an image.
        limits: Stored values of the image that are shown darkest and brightest.
    """

    codes: Bytes
    probability: Bytes | None = None
    image: Bytes | None = None
    limits: Limits = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.codes.shape
        return height, width


class SceneReader:
    """Reader of an open scene at display size; memory depends only on the display size.

    Args:
        pair: Open files of the comparison.
        image: The open scene that was mapped; None if it is not given.
        window_size: Side in pixels of the windows that are read.
    """

    def __init__(self, pair: PairReader, image: DatasetReader | None, window_size: int) -> None:
        self.pair = pair
        self.image = image
        self.window_size = window_size

    def read(self, window: Window, shape: tuple[int, int], limits: Limits | None = None) -> SceneLayers:
        """Read all layers of a window.

        Args:
            window: Part of the scene.
            shape: Height and width to read at; at most the size of the window.
            limits: Stored values of the image that are shown darkest and brightest; by default percentiles of the
                pixels read.

        Raises:
            RasterError: A file cannot be read.
        """
        percents = None if self.pair.probability is None else np.empty(shape, np.uint8)
        codes = np.empty(shape, np.uint8)
        for part, shown, picked in _sampled(window, shape, self.window_size):
            codes[shown] = pixel_codes(self.pair.mapped(part), self.pair.labels(part))[picked]
            if percents is not None and self.pair.probability is not None:
                percents[shown] = _percent(self.pair.probability, part)[picked]
        if self.image is None:
            return SceneLayers(codes, percents)
        composite = read_composite(self.image, shape, window, limits)
        return SceneLayers(codes, percents, np.rint(255 * composite.colours).astype(np.uint8), composite.limits)


@contextmanager
def open_scene(pair: Pair, settings: EvaluationSettings) -> Iterator[SceneReader]:
    """Open a compared pair with the scene that was mapped.

    Args:
        pair: The files.
        settings: Settings of the comparison.

    Raises:
        RasterError: A file cannot be read.
    """
    with ExitStack() as opened:
        files = opened.enter_context(open_pair(pair, settings))
        image = None if pair.image is None else opened.enter_context(open_raster(pair.image))
        yield SceneReader(files, image, settings.window_size)


def resized(layers: SceneLayers, shape: tuple[int, int]) -> SceneLayers:
    """Shrink layers: the image by averages, and all other layers by choosing the pixel in the middle.

    Args:
        layers: The layers.
        shape: Height and width to shrink to.
    """
    (height, width), (rows, columns) = layers.shape, shape
    places = np.ix_(_middles(height, rows), _middles(width, columns))
    image = layers.image
    if image is not None:
        image = np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.BOX))
    probability = None if layers.probability is None else layers.probability[places]
    return SceneLayers(layers.codes[places], probability, image, layers.limits)


def _middles(length: int, parts: int) -> NDArray[np.intp]:
    return np.asarray((np.arange(parts) + 0.5) * length / parts, np.intp)


def _sampled(
    window: Window, shape: tuple[int, int], size: int
) -> Iterator[tuple[Window, tuple[slice, slice], tuple[NDArray[np.intp], ...]]]:
    """Yield parts of a window, each with its display pixels and with the source pixel shown by each display pixel.

    GDAL's decimation is not used, since overviews may hold averages of labels, and polygons have no overviews.
    """
    rows, columns = _middles(window.height, shape[0]), _middles(window.width, shape[1])
    for part in window_grid(window.height, window.width, size, size):
        top, bottom = np.searchsorted(rows, (part.row_off, part.row_off + part.height))
        left, right = np.searchsorted(columns, (part.col_off, part.col_off + part.width))
        if top == bottom or left == right:
            continue
        read = Window(window.col_off + part.col_off, window.row_off + part.row_off, part.width, part.height)
        picked = np.ix_(rows[top:bottom] - part.row_off, columns[left:right] - part.col_off)
        yield read, (slice(top, bottom), slice(left, right)), picked


def _percent(dataset: DatasetReader, window: Window) -> Bytes:
    percent, valid = read_percent(dataset, window)
    percent[~valid] = NO_PROBABILITY
    return percent
