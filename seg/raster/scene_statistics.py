"""Statistics of one scene, and matching of its values to the statistics of training images."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.raster.chips import Chip, FloatImage, Reading, band_dates, measured, read_chip
from seg.raster.damaged import open_damaged, read_damaged
from seg.raster.grid import open_raster
from seg.raster.sources import reads_server
from seg.raster.statistics import BandStatistics, scene_band_statistics
from seg.raster.windows import window_grid

SIDE = 256
"""Side of a sampled window in pixels."""

ENOUGH = 64 * SIDE * SIDE
"""Number of valid pixels after which no further window is read. A smaller scene is read as a whole."""


def scene_statistics(scene: Path, bands: Sequence[int], nodata: float | None) -> BandStatistics:
    """Mean and standard deviation of each band over a sample of a scene's valid pixels.

    Windows spread over the scene are read in an order that depends only on the scene's size, until they hold ENOUGH
    valid pixels. The result therefore depends neither on blocks nor on workers, and one window is in memory at a time.
    Windows that cannot be read are left out, except in a scene on a server.

    Args:
        scene: The raster.
        bands: 1-based bands.
        nodata: Additional value that means "no data", or None.

    Returns:
        Statistics in stored units, with seven digits; mean 0 and standard deviation 1 for a band without a valid pixel.

    Raises:
        RasterError: The scene cannot be opened, or the connection to its server failed.
    """
    remote = reads_server(scene)
    opened: AbstractContextManager[DatasetReader] = open_raster(scene) if remote else open_damaged(scene)
    with opened as dataset:
        reading = Reading(bands, [0.0] * len(bands), nodata, band_dates(dataset, bands))
        found = scene_band_statistics(_sampled(dataset, reading, remote), len(bands))
    # Processors sum in different orders, so the last digits of their results differ. The results are rounded, since a
    # resumed run must find the same statistics.
    mean, std = (tuple(float(f"{value:.7g}") for value in values) for values in (found.mean, found.std))
    return BandStatistics(mean, std, found.count)


def _sampled(dataset: DatasetReader, reading: Reading, remote: bool) -> Iterator[npt.NDArray[np.float32]]:
    """(C, N) valid pixels of each window, NaN in the bands of missing dates."""
    windows, found = list(window_grid(dataset.height, dataset.width, SIDE, SIDE)), 0
    for number in np.random.default_rng(0).permutation(len(windows)):
        chip = _read(dataset, windows[number], reading, remote)
        pixels = measured(chip, reading.dates)[:, chip.valid]
        found += pixels.shape[1]
        yield pixels
        if found >= ENOUGH:
            break


def _read(dataset: DatasetReader, window: Window, reading: Reading, remote: bool) -> Chip:
    return read_chip(dataset, window, reading) if remote else read_damaged(dataset, window, reading)[0]


@dataclass(frozen=True)
class Matching:
    """Linear change of each band that gives a scene the mean and the standard deviation of the training images.

    Attributes:
        scene: Statistics of the scene.
        mean: Mean of each band of the training images, in their stored units.
        std: Standard deviation of each band of the training images.
    """

    scene: BandStatistics
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def matched(self, image: FloatImage) -> FloatImage:
        """The (C, H, W) image in the units of the training images; NaN stays NaN."""
        gain, offset = self._factors
        with np.errstate(over="ignore"):  # A pixel without data may hold the largest float.
            changed: FloatImage = image * gain
            changed += offset
        return changed

    @cached_property
    def _factors(self) -> tuple[FloatImage, FloatImage]:
        """Gain and offset of each band as (C, 1, 1), computed in float64."""
        gain = np.asarray(self.std) / np.asarray(self.scene.std)
        offset = np.asarray(self.mean) - np.asarray(self.scene.mean) * gain
        return tuple(values.astype(np.float32)[:, None, None] for values in (gain, offset))


class MatchedScenes:
    """Scenes whose values are matched to the same training images.

    Args:
        reading: Bands, nodata and, as fill values, the mean of the training images.
        std: Standard deviation of each band of the training images.
    """

    def __init__(self, reading: Reading, std: Sequence[float]) -> None:
        self._mean, self._std = (tuple(map(float, values)) for values in (reading.fill, std))
        self._matchings: dict[Path, Matching] = {}
        # NaN marks pixels and bands of dates without data until the values are matched.
        self._reading = replace(reading, fill=[np.nan] * len(self._mean))

    def measure(self, scenes: Iterable[Path]) -> None:
        """Sample the statistics of scenes now, rather than when their first window is read.

        Raises:
            RasterError: A scene cannot be read.
        """
        for scene in scenes:
            self._of(scene)

    def read(self, dataset: DatasetReader, scene: Path, window: Window) -> Chip:
        """Read a window of a scene in the units of the training images; invalid pixels get their fill values.

        Args:
            dataset: The open scene.
            scene: Its path.
            window: Window inside the scene.

        Raises:
            RasterError: The window cannot be read.
        """
        chip = read_chip(dataset, window, self._reading)
        image = self._of(scene).matched(chip.image)
        missing = np.isnan(image)
        if missing.any():
            image = np.where(missing, np.asarray(self._mean, np.float32)[:, None, None], image)
        return replace(chip, image=image)

    def _of(self, scene: Path) -> Matching:
        if scene not in self._matchings:
            found = scene_statistics(scene, self._reading.bands, self._reading.nodata)
            self._matchings[scene] = Matching(found, self._mean, self._std)
        return self._matchings[scene]
