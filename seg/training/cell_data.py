"""Lightning data module of the cells of a dataset's scenes, for the task screen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from seg.calibration.otsu import otsu_threshold
from seg.data.datamodule import CroplandDataModule
from seg.data.dataset.catalogue import Scene, band_indexes
from seg.data.loading.batching import BucketSampler, EpochSampler, stack
from seg.data.loading.loader import Batching, WatchedLoader, build_loader
from seg.data.sample import Example, SampleKey
from seg.data.samples.chips import ChipConfig
from seg.errors import ConfigError
from seg.inference.screening.features import CELL, FEATURES, GEOMETRY, KINDS, cell_counts, cell_features, coarse_indices
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.package.features import FeatureDescription, describe_cells
from seg.raster.chips import Chip, Reading, read_chip
from seg.raster.classes import read_classes
from seg.raster.grid import band_texts, open_raster
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping
from seg.raster.statistics import BandStatistics
from seg.raster.windows import round_up, window_grid
from seg.terminal.progress import with_progress

READ = 1024
"""Side in pixels of the windows in which scenes are read, a multiple of CELL."""

SAMPLED = 2_000_000
"""Largest number of coarse pixels that determine the thresholds of Otsu's method."""

DESCRIBED = 200_000
"""Largest number of cells whose features are described."""

PART = 32
"""Side in cells of the largest training sample."""

NAMES = (("green", "b03"), ("red", "b04"), ("nir", "b08"))
"""Common names of the green, the red and the near infrared band, and their names in Sentinel-2 products."""

LABELLED, CROPPED, KNOWN, UNLIKE = range(FEATURES, FEATURES + 4)
"""Layers of a sample after the features: labelled pixels, pixels of cropland, 1 for cells with data, 1 for cells that
are unlike the training cells."""


class CellDataModule(CroplandDataModule):
    """Cells of a dataset's scenes: their features, and their labelled pixels.

    A sample is a part of a scene. Its `image` has the layers of features and counts, and its `mask` is CROPLAND for
    cells with cropland, OTHER for cells without, and IGNORE for cells without a labelled pixel.

    Args:
        root: The dataset: a folder with `images/` and `masks/`, or with a `manifest.csv` or `manifest.parquet`.
        bands: Bands of the model that the screener will belong to, as for the task cropland.
        index_bands: Green, red and near infrared band, by 1-based index or by name; null for the bands named green,
            red and nir, or B03, B04 and B08.
        labels: Meaning of the mask values.
        nodata: Additional value that means "no data", for files that do not declare it.
        fold: Fold whose scenes determine the cut; training uses all other folds.
        folds: Number of folds.
        seed: Seed of the order.
        batch_cells: Largest number of cells in a batch; samples of equal size share a batch.

    Raises:
        ConfigError: A number is out of range, or the three bands are not among the bands.
        DatasetError: The folder holds no dataset.
    """

    def __init__(
        self,
        *,
        root: Path,
        bands: list[int | str] | None = None,
        index_bands: list[int | str] | None = None,
        labels: LabelMapping = PLAIN_LABELS,
        nodata: float | None = None,
        fold: int = 0,
        folds: int = 5,
        seed: int = 0,
        batch_cells: int = 1024,
    ) -> None:
        if batch_cells < 1:
            raise ConfigError(f"data.batch_cells is {batch_cells}; wanted 1 or more")
        super().__init__(
            root=root,
            bands=bands,
            labels=labels,
            nodata=nodata,
            fold=fold,
            folds=folds,
            seed=seed,
            chips=ChipConfig(size=READ),  # Scenes of any size are read window by window.
        )
        self.batch_cells = batch_cells
        self.places = self._places(index_bands)

    @property
    def band_count(self) -> int:
        """Number of features."""
        return FEATURES

    @property
    def statistics(self) -> BandStatistics:
        """Mean and standard deviation of each feature over the training cells."""
        found = self._description
        return BandStatistics(tuple(found.mean.tolist()), tuple(found.deviations.tolist()), len(found.distances))

    @cached_property
    def otsu(self) -> tuple[float, ...]:
        """Values above which a coarse pixel is bright, green or wet: Otsu's thresholds of the training scenes."""
        scenes = self.training_scenes
        most = max(SAMPLED // len(scenes), 1000)
        samples = [self._sampled_indices(scene, most) for scene in with_progress(scenes, "thresholds", len(scenes))]
        return tuple(otsu_threshold(values) for values in np.concatenate(samples, axis=1))

    def state_dict(self) -> dict[str, object]:
        """Description of the training images as of the base class, and of the features of their cells."""
        found = self._description
        return super().state_dict() | {
            "geometry": list(GEOMETRY),
            "places": list(self.places),
            "otsu": list(self.otsu),
            "feature_mean": found.mean.tolist(),
            "feature_covariance": found.covariance.tolist(),
            "limit": found.limit,
        }

    def train_dataloader(self) -> WatchedLoader:
        """Loader of parts of the training scenes, in an order that depends only on seed and epoch."""
        return self._cells_loader(_parts(self._cells, self.training_scenes, PART), self.seed)

    def val_dataloader(self) -> WatchedLoader:
        """Loader of the held-out scenes."""
        return self._cells_loader(_parts(self._cells, self.held_out_scenes, None), None)

    def _cells_loader(self, parts: Sequence["CellPart"], seed: int | None) -> WatchedLoader:
        sizes = [part.layers.shape[1:] for part in parts]
        order = EpochSampler(len(parts), seed)
        batches = BucketSampler(order, [(rows, columns) for rows, columns in sizes], self.batch_cells)
        return build_loader(_CellParts(parts), Batching(batches, stack))

    def _places(self, wanted: list[int | str] | None) -> tuple[int, ...]:
        """Positions of green, red and near infrared among the bands of the model."""
        with open_raster(self.scenes[0].image) as image:
            names = [name.strip().casefold() for name in band_texts(image)]
        if wanted is None:
            known = [next((names.index(name) + 1 for name in same if name in names), 0) for same in NAMES]
        else:
            known = band_indexes(self.scenes, wanted)
        if len(known) != len(NAMES) or not set(known) <= set(self.bands):
            raise ConfigError(
                f"data.index_bands is {wanted or 'not given'}, and {self.scenes[0].image} has the bands "
                f"{', '.join(name or 'unnamed' for name in names)}; wanted the green, the red and the near infrared "
                "band, which must be among data.bands, for example --data.index_bands=[2,3,4]"
            )
        return tuple(self.bands.index(band) for band in known)

    @property
    def _reading(self) -> Reading:
        return Reading(self.bands, [0.0] * len(self.bands), self.nodata, self._dates)

    def _chips(self, scene: Scene) -> Iterator[tuple[Chip, npt.NDArray[np.uint8], slice, slice]]:
        """Image and labels of each window of a scene, and the window's rows and columns."""
        with open_raster(scene.image) as image, open_raster(scene.mask) as mask:
            for window in window_grid(image.height, image.width, READ, READ):
                chip = read_chip(image, window, self._reading)
                self._nodata_found = self._nodata_found or chip.nodata_found
                yield chip, read_classes(mask, window, scene.labels), *window.toslices()

    def _sampled_indices(self, scene: Scene, most: int) -> npt.NDArray[np.float32]:
        """(3, N) indices of some coarse pixels of a scene."""
        found = []
        for chip, *_ in self._chips(scene):
            indices, known = coarse_indices(chip.image, chip.valid, self.places)
            found.append(indices[:, known])
        values = np.concatenate(found, axis=1)
        return values[:, :: max(-(-values.shape[1] // most), 1)]

    @cached_property
    def _features(self) -> dict[Scene, npt.NDArray[np.float32]]:
        """Layers of each scene, but for UNLIKE."""
        scenes = [*self.training_scenes, *self.held_out_scenes]
        return {scene: self._layers(scene) for scene in with_progress(scenes, "features of cells", len(scenes))}

    def _layers(self, scene: Scene) -> npt.NDArray[np.float32]:
        grid = self._grids_of([scene])[scene]
        rows, columns = (round_up(length, CELL) // CELL for length in (grid.height, grid.width))
        counts = np.zeros((1 + KINDS, rows, columns), np.int64)
        labels = np.zeros((2, rows, columns))
        for chip, classes, down, right in self._chips(scene):
            found = cell_counts(*coarse_indices(chip.image, chip.valid, self.places), self.otsu)
            place = (
                slice(down.start // CELL, down.start // CELL + found.shape[1]),
                slice(right.start // CELL, right.start // CELL + found.shape[2]),
            )
            counts[:, *place] = found
            classes = np.where(chip.valid, classes, np.uint8(IGNORE))
            labels[:, *place] = [_by_cell(classes != IGNORE), _by_cell(classes == CROPLAND)]
        features = cell_features(counts).T.reshape(FEATURES, rows, columns)
        return np.concatenate([features, labels, counts[:1] > 0]).astype(np.float32)

    @cached_property
    def _description(self) -> FeatureDescription:
        """Features of the training cells with data."""
        random = np.random.default_rng(0)
        vectors = [_vectors(self._features[scene]) for scene in self.training_scenes]
        kept = min(1.0, DESCRIBED / max(sum(map(len, vectors)), 1))
        return describe_cells([scene[random.random(len(scene)) <= kept] for scene in vectors])

    @cached_property
    def _cells(self) -> dict[Scene, npt.NDArray[np.float32]]:
        """Layers of each scene."""
        found = {}
        for scene, layers in self._features.items():
            distances = self._description.patch_distances(layers[:FEATURES].reshape(FEATURES, -1).T.astype(np.float64))
            unlike = (distances > self._description.limit).reshape(1, *layers.shape[1:])
            found[scene] = np.concatenate([layers, unlike.astype(np.float32)])
        return found


@dataclass(frozen=True)
class CellPart:
    """Part of a scene's cells.

    Attributes:
        name: Name of the scene's image.
        layers: (FEATURES + 4, rows, columns) features and counts.
    """

    name: str
    layers: npt.NDArray[np.float32]


class _CellParts(Dataset[Example]):
    """Samples of parts of scenes, which are in memory."""

    def __init__(self, parts: Sequence[CellPart]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, key: SampleKey | int) -> Example:
        """Sample of a key; the epoch has no effect."""
        part = self.parts[key if isinstance(key, int) else key.index]
        layers = np.ascontiguousarray(part.layers)
        mask = np.where(layers[CROPPED] > 0, np.uint8(CROPLAND), np.uint8(OTHER))
        mask[layers[LABELLED] == 0] = IGNORE
        return {"image": torch.from_numpy(layers), "mask": torch.from_numpy(mask), "name": part.name}


def _parts(cells: dict[Scene, npt.NDArray[np.float32]], scenes: Sequence[Scene], side: int | None) -> list[CellPart]:
    """Parts of scenes with at most `side` cells along each axis; whole scenes if `side` is None."""
    found = []
    for scene in scenes:
        layers = cells[scene]
        step = side or max(layers.shape[1:])
        for window in window_grid(layers.shape[1], layers.shape[2], step, step):
            rows, columns = window.toslices()
            found.append(CellPart(scene.image.name, layers[:, rows, columns]))
    return found


def _vectors(layers: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """(N, FEATURES) features of the cells with data."""
    return np.asarray(layers[:FEATURES, layers[KNOWN] > 0].T, np.float64)


def _by_cell(pixels: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(rows, columns) number of True pixels in each cell."""
    starts = [np.arange(0, length, CELL) for length in pixels.shape]
    by_row = np.add.reduceat(pixels.astype(np.int64), starts[0], axis=0)
    return np.asarray(np.add.reduceat(by_row, starts[1], axis=1))
