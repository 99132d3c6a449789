"""The rasters of a scene at display size: what is read once, and then only made smaller."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.evaluation.pairs import Pair
from seg.evaluation.reading import PairReader, open_pair
from seg.evaluation.report.page.colours import NO_PROBABILITY, pixel_codes
from seg.evaluation.settings import EvaluationSettings
from seg.raster.chips import read_band
from seg.raster.classes import read_percent
from seg.raster.composite import display_bands, display_limits, stretch_between
from seg.raster.grid import open_raster
from seg.raster.windows import window_grid

Bytes = NDArray[np.uint8]
Limits = tuple[tuple[float, float], ...]
"""The stored values that are shown darkest and brightest, one pair for each band shown."""


@dataclass(frozen=True)
class SceneLayers:
    """A scene or a window of it, at some resolution.

    Attributes:
        codes: (H, W), what is mapped and what is true, as `pixel_codes` joins them.
        probability: (H, W) in percent, NO_PROBABILITY where there is none; None without a probability map.
        image: (H, W, 4) red, green, blue, opacity; None without an image.
        limits: What the image is stretched between.
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
    """Reads the layers of an open scene at display size, in memory that depends on that size alone."""

    def __init__(self, pair: PairReader, image: DatasetReader | None, window_size: int) -> None:
        """Take the open files, and how large the windows are that are read of them."""
        self.pair = pair
        self.image = image
        self.window_size = window_size

    def read(self, window: Window, shape: tuple[int, int], limits: Limits | None = None) -> SceneLayers:
        """The layers of a window.

        Args:
            window: Inside the scene.
            shape: Height and width to read at, at most those of the window.
            limits: What the image is stretched between; by default the percentiles of what is read.

        Raises:
            RasterError: A file cannot be read.
        """
        codes = np.empty(shape, np.uint8)
        percents = None if self.pair.probability is None else np.empty(shape, np.uint8)
        for part, shown, picked in _sampled(window, shape, self.window_size):
            codes[shown] = pixel_codes(self.pair.mapped(part), self.pair.labels(part))[picked]
            if percents is not None and self.pair.probability is not None:
                percents[shown] = _percent(self.pair.probability, part)[picked]
        if self.image is None:
            return SceneLayers(codes, percents)
        image, limits = _composite(self.image, window, shape, limits)
        return SceneLayers(codes, percents, image, limits)


@contextmanager
def open_scene(pair: Pair, settings: EvaluationSettings) -> Iterator[SceneReader]:
    """Open what was compared, with the scene that was mapped.

    Args:
        pair: The files.
        settings: What their values mean.

    Raises:
        RasterError: A file cannot be read.
    """
    with ExitStack() as opened:
        files = opened.enter_context(open_pair(pair, settings))
        image = None if pair.image is None else opened.enter_context(open_raster(pair.image))
        yield SceneReader(files, image, settings.window_size)


def resized(layers: SceneLayers, shape: tuple[int, int]) -> SceneLayers:
    """The same layers with fewer pixels: the image averaged, of the others the pixel in the middle."""
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
    """Parts of a window, the pixels of a smaller picture that lie in each, and which of its own they show.

    Not GDAL's decimation: overviews may hold averages of labels, and polygons have none.
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


def _composite(
    dataset: DatasetReader, window: Window, shape: tuple[int, int], limits: Limits | None
) -> tuple[Bytes, Limits]:
    bands = display_bands(dataset)
    image, used = np.full((*shape, 4), 255, np.uint8), []
    for place, band in enumerate(bands):
        # Averaging, not nearest: picking every n-th pixel of a large scene looks like noise.
        stored, valid = read_band(dataset, band, window, shape, Resampling.average)
        values = stored.astype(np.float64)
        used.append(limits[place] if limits else display_limits(values, valid))
        channel = slice(place, place + 1) if len(bands) == 3 else slice(0, 3)
        image[..., channel] = np.rint(255 * stretch_between(values, valid, used[-1]))[..., None]
        image[~valid, 3] = 0
    return image, tuple(used)
