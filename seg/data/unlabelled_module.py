"""Lightning data module of scenes without masks, for tasks that need no label."""

from functools import cached_property
from pathlib import Path

import lightning as L
import numpy as np

from seg.data.augmentation.mixing import MixingConfig
from seg.data.augmentation.pipeline import Augmentation, AugmentationConfig, require_dates
from seg.data.datamodule import CroplandDataModule
from seg.data.dataset.catalogue import band_indexes
from seg.data.dataset.checks import require_loadable, require_one_scaling
from seg.data.dataset.fingerprint import images_fingerprint
from seg.data.dataset.statistics import Sampling, ValidPixels
from seg.data.dataset.unlabelled import UnlabelledScene, check_unlabelled, read_unlabelled
from seg.data.loading.loader import LoaderConfig, WatchedLoader
from seg.data.samples.chips import ChipConfig, GridChips, RandomChips
from seg.data.samples.scenes import SceneDataset
from seg.data.samples.views import ViewConfig
from seg.errors import ConfigError
from seg.raster.chips import band_dates
from seg.raster.grid import Grid, alpha_bands, data_bands, open_raster
from seg.raster.label_mapping import PLAIN_LABELS
from seg.raster.statistics import BandStatistics, band_statistics


class UnlabelledDataModule(CroplandDataModule):
    """Batches of scenes without masks; some of the scenes are held out.

    In a batch, `mask` is 0 where the image has data and 255 elsewhere.

    Args:
        unlabelled: The scenes: one file, a folder, a pattern such as `scenes/*.tif`, or a text file with one path per
            line.
        bands: Bands in the order of the model's input: 1-based indexes, or band names stored in the images; null for
            all bands of the first image except alpha.
        nodata: Additional value that means "no data", for files that do not declare it.
        fold: Fold held out for validation. Scenes are assigned to folds in turn; a single scene is in both splits.
        folds: Number of folds.
        augmentation: Random changes of training samples.
        seed: Seed of order and augmentation.
        workers: Number of processes that load samples; 0 loads in the training process.
        chips: Settings of chips. If chips have a size, they replace whole scenes.
        batch_pixels: Largest number of pixels in a batch; null for batches of one sample.
        loader: Settings of the worker processes.

    Raises:
        ConfigError: A number is out of range.
        RasterError: No scene was named, or the first scene cannot be opened.
    """

    def __init__(  # The base class reads a dataset with masks, so its constructor is not called.
        self,
        *,
        unlabelled: Path,
        bands: list[int | str] | None = None,
        nodata: float | None = None,
        fold: int = 0,
        folds: int = 5,
        augmentation: AugmentationConfig = AugmentationConfig(),
        seed: int = 0,
        workers: int = 0,
        chips: ChipConfig = ChipConfig(),
        batch_pixels: int | None = None,
        loader: LoaderConfig = LoaderConfig(),
    ) -> None:
        L.LightningDataModule.__init__(self)
        for name, number in (("seed", seed), ("workers", workers), ("batch_pixels", batch_pixels or 0)):
            if number < 0:
                raise ConfigError(f"data.{name} is {number}; wanted 0 or more")
        if not 0 <= fold < folds:
            raise ConfigError(f"data.fold is {fold} and data.folds {folds}; wanted a fold from 0 to data.folds - 1")
        self.root, self.fold, self.folds, self.nodata, self.labels = unlabelled, fold, folds, nodata, PLAIN_LABELS
        self.places = sorted(read_unlabelled(None, unlabelled, None), key=lambda scene: scene.image)
        with open_raster(self.places[0].image) as image:
            self._set_aside = [] if bands else alpha_bands(image)
            self.bands = band_indexes(self.places, bands) if bands else data_bands(image)
            self._dates = band_dates(image, self.bands) if max(self.bands) <= image.count else ()
        require_dates(augmentation, self._dates)
        self.augmentation, self.mixing, self.seed, self.workers = augmentation, MixingConfig(), seed, workers
        self.chips, self.batch_pixels, self.pad_batches, self.loader = chips, batch_pixels, False, loader
        self.scenes, self.unlabelled, self.views, self.maps = [], None, ViewConfig(), None
        self.by_scene = False
        self._nodata_found = False

    @property
    def note(self) -> str:
        """Note for the user if no pixel has the additional nodata value; empty otherwise."""
        return "" if self.nodata is None else self._unmatched_nodata(self.nodata)

    @cached_property
    def grids(self) -> list[Grid]:
        """Grid of each scene, checked for bands."""
        return check_unlabelled(self.places, self.bands, [])

    @cached_property
    def statistics(self) -> BandStatistics:
        """Statistics of the training scenes in stored units."""
        pixels = ValidPixels(list(self._split(held_out=False)), Sampling(tuple(self.bands), self.nodata, self.fold))
        statistics = band_statistics(pixels)
        self._nodata_found = pixels.nodata_found
        return statistics

    @property
    def _images(self) -> list[Path]:
        return [scene.image for scene in self.places]

    @property
    def median_side(self) -> float:
        """Side of the chips in pixels; for whole scenes, the median of sqrt(height * width) over training scenes."""
        if self.chips.size:
            return float(self.chips.size)
        return float(np.median([np.sqrt(grid.height * grid.width) for grid in self._split(held_out=False).values()]))

    def fingerprint(self) -> dict[str, object]:
        """Hash of the scenes."""
        return images_fingerprint([scene.image for scene in self.places])

    def state_dict(self) -> dict[str, object]:
        """Description of the images for the checkpoint, as in the base class, but without the meaning of labels."""
        return {name: value for name, value in super().state_dict().items() if name != "labels"}

    def setup(self, stage: str) -> None:
        """Open every file once, so that problems are reported before the first step.

        Raises:
            DatasetError: A scene lacks a band, is too large, or states other scales or offsets.
            RasterError: A file cannot be read.
        """
        if not self.chips.size:
            for grid in self.grids:
                require_loadable(grid, self.band_count)
        if not self.by_scene:
            require_one_scaling(self.grids, self.bands)
        _ = self.statistics, self.matching

    def train_dataloader(self) -> WatchedLoader:
        """Loader of training samples, in an order that depends only on seed and epoch."""
        augment = Augmentation(self.augmentation, self.statistics.std, self.statistics.mean, self._dates)
        grids, side = self._split(held_out=False), self.chips.size
        if side:
            chips = RandomChips(grids, self.chips, self._reading, augment, self.seed, matching=self.matching)
            return self._loader(chips, [(side, side)] * len(chips), self.seed)
        upright = bool(self.batch_pixels)
        scenes = SceneDataset(list(grids), self._reading, augment, self.seed, upright=upright, matching=self.matching)
        return self._loader(scenes, [(grid.height, grid.width) for grid in grids.values()], self.seed)

    def val_dataloader(self) -> WatchedLoader:
        """Loader of the held-out scenes, or of all their chips, in the order of the scenes' names."""
        grids = self._split(held_out=True)
        if self.chips.size:
            chips = GridChips(grids, self.chips.size, self._reading, self.chips.halo, matching=self.matching)
            return self._loader(chips, [(block.read.height, block.read.width) for _, block in chips.chips])
        scenes = SceneDataset(list(grids), self._reading, matching=self.matching)
        return self._loader(scenes, [(grid.height, grid.width) for grid in grids.values()])

    def _split(self, held_out: bool) -> dict[UnlabelledScene, Grid]:
        """Scenes of a split and their grids; both splits hold all scenes if one of them would be empty."""
        grids = dict(zip(self.places, self.grids, strict=True))
        is_held_out = [number % self.folds == self.fold for number in range(len(self.places))]
        if len(set(is_held_out)) < 2:
            return grids
        return {scene: grids[scene] for scene, held in zip(self.places, is_held_out, strict=True) if held == held_out}
