"""Band statistics of the training scenes of a dataset, cached in the dataset folder."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from seg.data.dataset.catalogue import Scene, WithImage, band_indexes, read_catalogue
from seg.data.dataset.checks import require_bands
from seg.errors import ClaimError, DatasetError
from seg.files import complete_or_absent, read_json, short_hash
from seg.raster.chips import Reading, band_dates, measured, read_chip
from seg.raster.grid import data_bands, open_raster, read_grid
from seg.raster.sources import image_files
from seg.raster.statistics import (
    SMALL_INTEGERS,
    BandPercentiles,
    BandStatistics,
    BinCounts,
    Bins,
    PartStatistics,
    count_part,
    measure_part,
    statistics_of_parts,
)
from seg.raster.windows import window_grid
from seg.terminal.progress import with_progress
from seg.terminal.text import counted, text_table

CACHE = ".cache"
"""Folder of cached statistics in a dataset."""

_VERSION = 2
"""Version of the cache format. Cached files of other versions are ignored."""

_PERCENTILES = ("low", "high", "error")
_READ_SIZE = 1024


@dataclass(frozen=True)
class Sampling:
    """Selection of the pixels from which statistics are computed.

    Attributes:
        bands: 1-based band indexes.
        nodata: Additional value that means "no data", or None.
        fold: Held-out fold; None for all scenes.
    """

    bands: tuple[int, ...]
    nodata: float | None
    fold: int | None


@dataclass(frozen=True)
class Selection:
    """Training pixels of a dataset, as the user names them.

    Attributes:
        folds: Number of folds.
        fold: Held-out fold; None for all scenes.
        bands: 1-based band indexes or band names; None for all bands of the first image except alpha.
        nodata: Additional value that means "no data", or None.
    """

    folds: int = 5
    fold: int | None = 0
    bands: Sequence[int | str] | None = None
    nodata: float | None = None


@dataclass(frozen=True)
class DatasetStatistics:
    """Statistics of the valid training pixels.

    Attributes:
        sampling: Selection of the pixels.
        scenes: Number of scenes.
        bands: Mean and standard deviation of each band.
        percentiles: 2nd and 98th percentile of each band.
        nodata_found: True if a pixel has the additional nodata value of the sampling.
    """

    sampling: Sampling
    scenes: int
    bands: BandStatistics
    percentiles: BandPercentiles
    nodata_found: bool


Found = TypeVar("Found")


class MapScenes(Protocol):
    """Function that calls another function for each scene, and returns the results in order."""

    def __call__(self, function: Callable[[WithImage], Found], scenes: Sequence[WithImage], /) -> list[Found]:
        """Call the function for each scene."""


class ValidPixels:
    """Valid pixels of scenes, (C, N) for each window; every iteration reads the scenes again.

    Args:
        scenes: Scenes in the order of reading.
        sampling: Selection of the pixels.

    Attributes:
        nodata_found: True if any pixel read so far has the additional nodata value.
    """

    def __init__(self, scenes: Sequence[WithImage], sampling: Sampling) -> None:
        self._scenes = scenes
        self._reading = Reading(sampling.bands, [0.0] * len(sampling.bands), sampling.nodata)
        self.nodata_found = False

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        """Read the scenes window by window."""
        for scene in self._scenes:
            with open_raster(scene.image) as image:
                for window in window_grid(image.height, image.width, _READ_SIZE, _READ_SIZE):
                    chip = read_chip(image, window, self._reading)
                    self.nodata_found = self.nodata_found or chip.nodata_found
                    # If all pixels are valid, they are not selected, since selecting takes longer than reading.
                    whole = chip.valid.all()
                    pixels = measured(chip, band_dates(image, self._reading.bands))
                    yield pixels.reshape(len(pixels), -1) if whole else pixels[:, chip.valid]


def one_by_one(function: Callable[[WithImage], Found], scenes: Sequence[WithImage], /) -> list[Found]:
    """Call a function for each scene in this process, with a progress bar."""
    return [function(scene) for scene in with_progress(scenes, "reading pixels")]


def dataset_statistics(root: Path, selection: Selection, over: MapScenes = one_by_one) -> DatasetStatistics:
    """Statistics of a dataset's training scenes, read from its cache, or computed and written to the cache.

    Statistics include valid pixels without a label, since these are also input of the network. Masks are not read.

    Args:
        root: The dataset.
        selection: Scenes, bands and nodata.
        over: Calls a function for each scene; by default, this process reads one scene after the other. The result
            does not depend on it.

    Raises:
        DatasetError: The dataset is damaged, an image lacks a band, or no training scene is left.
        RasterError: A file cannot be read, or no pixel is valid.
    """
    catalogue, folds, fold = read_catalogue(root, selection.folds), selection.folds, selection.fold
    scenes = [scene for scene in catalogue if scene.fold != fold]
    if not scenes or (fold is not None and not 0 <= fold < folds):
        raise DatasetError(f"{root}: has no training scene with fold {fold} of {folds} held out; choose another fold")
    with open_raster(catalogue[0].image) as image:
        usual = data_bands(image)
    bands = tuple(band_indexes(catalogue, selection.bands) if selection.bands else usual)
    sampling = Sampling(bands, selection.nodata, fold)
    for scene in scenes:
        require_bands(read_grid(scene.image), sampling.bands)
    found = cached_statistics(root, scenes, sampling)
    if found is None:
        found = _measured(scenes, sampling, over)
        _store(_cache_file(root, scenes, sampling), found)
    return found


def _measured(scenes: Sequence[Scene], sampling: Sampling, over: MapScenes) -> DatasetStatistics:
    integers = all(_small_integers(scene, sampling) for scene in scenes)
    measured = over(partial(_measure_scene, sampling=sampling, integers=integers), scenes)
    bands, percentiles = statistics_of_parts(
        [part for part, _ in measured], lambda bins: over(partial(_count_scene, sampling=sampling, bins=bins), scenes)
    )
    return DatasetStatistics(sampling, len(scenes), bands, percentiles, any(nodata for _, nodata in measured))


def _measure_scene(scene: WithImage, sampling: Sampling, integers: bool) -> tuple[PartStatistics, bool]:
    """Statistics of a scene, and True if a pixel has the additional nodata value."""
    pixels = ValidPixels([scene], sampling)
    return measure_part(pixels, integers), pixels.nodata_found


def _count_scene(scene: WithImage, sampling: Sampling, bins: Bins) -> BinCounts:
    return count_part(ValidPixels([scene], sampling), bins)


def cached_statistics(root: Path, scenes: Sequence[Scene], sampling: Sampling) -> DatasetStatistics | None:
    """Cached statistics of exactly these scenes and pixels; None if the cache is missing or a file has changed.

    Args:
        root: The dataset.
        scenes: Training scenes in the order of reading.
        sampling: Selection of the pixels.
    """
    if not (root / CACHE).is_dir():
        return None
    try:
        held: Any = read_json(_cache_file(root, scenes, sampling))
        mean, std = (tuple(map(float, held["bands"][name])) for name in ("mean", "std"))
        bands = BandStatistics(mean, std, int(held["bands"]["count"]))
        percentiles = BandPercentiles(*(tuple(map(float, held["percentiles"][name])) for name in _PERCENTILES))
        nodata_found = bool(held["nodata_found"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if any(len(values) != len(sampling.bands) for values in (mean, std, *vars(percentiles).values())):
        return None
    return DatasetStatistics(sampling, len(scenes), bands, percentiles, nodata_found)


def _store(path: Path, statistics: DatasetStatistics) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        with complete_or_absent(path) as partial_path:
            partial_path.write_text(json.dumps(asdict(statistics), indent=1) + "\n", encoding="utf-8")
    except (OSError, ClaimError):
        # Nothing is cached if the dataset is read-only, or if another process is writing the same cache.
        return


def _cache_file(root: Path, scenes: Sequence[Scene], sampling: Sampling) -> Path:
    files = [(file, file.stat()) for scene in scenes for file in image_files(scene.image)]
    # Relative paths, so that the cache stays valid if the dataset is moved or renamed.
    sizes = [(os.path.relpath(file, root), found.st_size, found.st_mtime_ns) for file, found in files]
    names = [os.path.relpath(scene.image, root) for scene in scenes]
    nodata = None if sampling.nodata is None else float(sampling.nodata)
    key = json.dumps([_VERSION, names, sizes, sampling.bands, nodata, sampling.fold])
    return root / CACHE / f"statistics-{short_hash(key)}.json"


def _small_integers(scene: Scene, sampling: Sampling) -> bool:
    with open_raster(scene.image) as image:
        return {image.dtypes[band - 1] for band in sampling.bands} <= SMALL_INTEGERS


def unmatched_nodata(nodata: float | None, found: bool, option: str) -> str | None:
    """Note if no pixel has an additional nodata value; None otherwise.

    Args:
        nodata: Additional value that means "no data", or None.
        found: True if any pixel has this value.
        option: Option that set the value, such as "--nodata".
    """
    return None if nodata is None or found else f"no pixel has the value of {option}={nodata:.8g}; check the value"


def statistics_report(root: Path, statistics: DatasetStatistics, as_json: bool = False) -> str:
    """Statistics as a table with one row per band, or as JSON.

    Args:
        root: The dataset.
        statistics: Statistics of its training pixels.
        as_json: Return JSON instead of a table.
    """
    if as_json:
        return json.dumps({"dataset": str(root), **asdict(statistics)}, indent=1)
    fold, percentiles = statistics.sampling.fold, statistics.percentiles
    held = "all folds" if fold is None else f"fold {fold} held out"
    lines = [f"{root}: {statistics.bands.count} valid pixels of {counted(statistics.scenes, 'scene')}, {held}"]
    columns = zip(statistics.bands.mean, statistics.bands.std, percentiles.low, percentiles.high, strict=True)
    rows = [
        [str(band), *(f"{figure:.6g}" for figure in figures)]
        for band, figures in zip(statistics.sampling.bands, columns, strict=True)
    ]
    lines.append(text_table(["band", "mean", "std", "2nd percentile", "98th percentile"], rows))
    if any(percentiles.error):
        errors = ", ".join(f"{error:.2g}" for error in percentiles.error)
        lines.append(f"largest errors of the percentiles: {errors}")
    return "\n".join(lines)
