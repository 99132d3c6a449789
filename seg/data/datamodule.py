"""A dataset folder as Lightning's data loaders."""

from functools import cached_property
from pathlib import Path

import lightning as L
import numpy as np
from torch.utils.data import DataLoader

from seg.data.batching import EpochSampler
from seg.data.catalogue import Scene, read_catalogue
from seg.data.checks import LabelCounts, check_scene, count_labels, require_both_classes, require_loadable
from seg.data.datasets import Example, Reading, SceneDataset
from seg.data.statistics import Sampling, cached_statistics, valid_pixels
from seg.data.transforms import Augmentation, AugmentationConfig
from seg.errors import ConfigError, DatasetError
from seg.raster.chips import alpha_bands
from seg.raster.grid import Grid, open_raster
from seg.raster.statistics import BandStatistics, band_statistics


class CroplandDataModule(L.LightningDataModule):
    """Scenes of any size, one a batch, the fold `fold` held out.

    Args:
        root: The dataset: a folder with `images/` and `masks/`, or with a `manifest.csv`.
        bands: 1-based band indexes in the order the model gets them; null for all of the first image but alpha. Name a
            band that is tagged as alpha but holds data, as near infrared in 8-bit images often is.
        nodata: A further stored value that means "no data", for files that do not say so themselves.
        fold: The fold held out for validation and test; the others train.
        folds: Number of folds.
        augmentation: How training samples are changed at random.
        seed: Seed of order and augmentation.
        workers: Processes that load samples; 0 loads in the training process.

    Raises:
        ConfigError: A number cannot work.
        DatasetError: The folder holds no dataset.
    """

    def __init__(
        self,
        *,
        root: Path,
        bands: list[int] | None = None,
        nodata: float | None = None,
        fold: int = 0,
        folds: int = 5,
        augmentation: AugmentationConfig = AugmentationConfig(),
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        for name, number in (("seed", seed), ("workers", workers)):
            if number < 0:
                raise ConfigError(f"data.{name} is {number}; wanted 0 or more")
        self.scenes = read_catalogue(root, folds)
        self.root, self.fold, self.folds, self.nodata = root, fold, folds, nodata
        with open_raster(self.scenes[0].image) as image:
            self._set_aside = [] if bands else alpha_bands(image)
            self.bands = bands or [band for band in image.indexes if band not in self._set_aside]
        self.augmentation, self.seed, self.workers = augmentation, seed, workers

    @property
    def band_count(self) -> int:
        """Channels of an image."""
        return len(self.bands)

    @property
    def note(self) -> str:
        """A line for the user when a band was taken for a mask; empty if none was."""
        if not self._set_aside:
            return ""
        return (
            f"note: band {self._set_aside[0]} of {self.scenes[0].image} is tagged as alpha and only masks; if it holds "
            f"data, name every band, for example --data.bands={sorted([*self.bands, *self._set_aside])}\n"
        )

    @property
    def training_scenes(self) -> list[Scene]:
        """The scenes of all folds but the held-out one."""
        return [scene for scene in self.scenes if scene.fold != self.fold]

    @property
    def held_out_scenes(self) -> list[Scene]:
        """The scenes of the held-out fold."""
        return [scene for scene in self.scenes if scene.fold == self.fold]

    @cached_property
    def grids(self) -> list[Grid]:
        """The grid of each scene, checked against its mask's."""
        return [check_scene(scene, self.bands) for scene in self.scenes]

    @property
    def median_side(self) -> float:
        """Median side of the training scenes in pixels: the root of height times width."""
        training = {scene.image for scene in self.training_scenes}
        return float(np.median([np.sqrt(g.height * g.width) for g in self.grids if g.path in training]))

    @cached_property
    def statistics(self) -> BandStatistics:
        """The training split's statistics, in stored units; from the cache of `prepare.py stats` where it has them."""
        sampling = Sampling(tuple(self.bands), self.nodata, self.fold)
        found = cached_statistics(self.root, self.training_scenes, sampling)
        return found.bands if found else band_statistics(valid_pixels(self.training_scenes, sampling))

    def setup(self, stage: str) -> None:
        """Read every file once, so that what is wrong with one is said before the first step.

        Raises:
            DatasetError: A split is empty, a file does not fit, or the training split cannot teach both classes.
            RasterError: A file cannot be read, or a mask holds unknown values.
        """
        for name, scenes in (("training", self.training_scenes), ("held-out", self.held_out_scenes)):
            if not scenes:
                raise DatasetError(
                    f"{self.root}: no {name} scene with data.fold {self.fold} of {self.folds} folds, "
                    f"{len(self.scenes)} scenes in all; choose another fold or add scenes"
                )
        if stage == "fit":
            for grid in self.grids:
                require_loadable(grid, self.band_count)
        _ = self.grids, self._labels, self.statistics
        if stage == "fit":
            require_both_classes(self.root, [self._labels[scene] for scene in self.training_scenes])

    @cached_property
    def _labels(self) -> dict[Scene, LabelCounts]:
        return {scene: count_labels(scene) for scene in self.scenes}

    def train_dataloader(self) -> DataLoader[Example]:
        """Training scenes in an order that depends on seed and epoch alone."""
        augment = Augmentation(self.augmentation, self.statistics.std)
        dataset = SceneDataset(self.training_scenes, self._reading, augment, self.seed)
        return self._loader(dataset, EpochSampler(len(dataset), self.seed))

    def val_dataloader(self) -> DataLoader[Example]:
        """Held-out scenes in the order of their names."""
        return self._loader(SceneDataset(self.held_out_scenes, self._reading))

    def test_dataloader(self) -> DataLoader[Example]:
        """The same as for validation: a fold is held out once."""
        return self.val_dataloader()

    def state_dict(self) -> dict[str, object]:
        """What a checkpoint keeps of the training images, as plain values.

        The 1-based `bands` read, of the `image_bands` there are, with their `band_names`; the further `nodata` value
        or None; and `pixel_size_m`, the median pixel side in metres, or None where no image tells it.
        """
        with open_raster(self.scenes[0].image) as image:
            names = [image.descriptions[band - 1] or "" for band in self.bands]
            image_bands = int(image.count)
        sizes = [grid.pixel_size_m for grid in self.grids]
        known = [size for size in sizes if size is not None]
        return {
            "band_names": names,
            "bands": [int(band) for band in self.bands],
            "image_bands": image_bands,
            "nodata": None if self.nodata is None else float(self.nodata),
            "pixel_size_m": float(np.median(known)) if known else None,
        }

    @property
    def _reading(self) -> Reading:
        return Reading(self.bands, self.statistics.mean, self.nodata)

    def _loader(self, dataset: SceneDataset, sampler: EpochSampler | None = None) -> DataLoader[Example]:
        return DataLoader(
            dataset,
            batch_size=1,
            sampler=sampler,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            multiprocessing_context="spawn" if self.workers else None,
        )
