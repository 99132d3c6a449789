"""Lightning data module of a dataset folder."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import lightning as L
import numpy as np
from torch.utils.data import Dataset

from seg.data.augmentation.extra import build_extras
from seg.data.augmentation.mixing import MixingConfig
from seg.data.augmentation.pipeline import Augmentation, AugmentationConfig, require_dates
from seg.data.dataset.catalogue import Scene, band_indexes, read_catalogue
from seg.data.dataset.checks import (
    LabelCounts,
    check_scene,
    count_labels,
    require_any_label,
    require_both_classes,
    require_loadable,
    require_one_scaling,
)
from seg.data.dataset.fingerprint import dataset_fingerprint
from seg.data.dataset.statistics import Sampling, ValidPixels, cached_statistics, unmatched_nodata
from seg.data.dataset.teacher_maps import match_maps, require_maps
from seg.data.dataset.unlabelled import (
    UnlabelledScene,
    check_unlabelled,
    overlap_note,
    read_unlabelled,
    unlabelled_rows,
)
from seg.data.loading.batching import (
    BucketSampler,
    EpochSampler,
    PaddingCollate,
    Size,
)
from seg.data.loading.loader import (
    Batching,
    LoaderConfig,
    WatchedLoader,
    build_loader,
)
from seg.data.loading.sharding import WHOLE, PaddingIgnored, Shard
from seg.data.sample import Augment, Example, example_bytes
from seg.data.samples.chips import ChipConfig, GridChips, RandomChips
from seg.data.samples.layers import Maps
from seg.data.samples.scenes import SceneDataset
from seg.data.samples.views import ViewConfig, WithViews, clean_changes, strong_changes, view_bytes
from seg.errors import ConfigError, DatasetError
from seg.raster.chips import Reading, band_dates
from seg.raster.grid import Grid, alpha_bands, band_texts, data_bands, open_raster
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping
from seg.raster.scene_statistics import MatchedScenes
from seg.raster.statistics import BandStatistics, band_statistics
from seg.terminal.progress import with_progress
from seg.terminal.text import counted


class CroplandDataModule(L.LightningDataModule):
    """Batches of whole scenes or chips for training, and of one held-out fold for validation and test.

    Args:
        root: The dataset: a folder with `images/` and `masks/`, or with a `manifest.csv` or `manifest.parquet`.
        bands: Bands in the order of the model's input: 1-based indexes, or band names stored in the images; null for
            all bands of the first image except alpha. If a band is tagged as alpha but holds data, name all bands; in
            many 8-bit images, near infrared is tagged as alpha.
        labels: Meaning of the mask values.
        nodata: Additional value that means "no data", for files that do not declare it.
        fold: Fold held out for validation and test; training uses all other folds.
        folds: Number of folds.
        augmentation: Random changes of training samples.
        seed: Seed of order and augmentation.
        workers: Number of processes that load samples; 0 loads in the training process.
        chips: Settings of chips. If chips have a size, they replace whole scenes: chips at random positions in
            training, and a grid of chips in validation.
        mixing: Shares of the training chips that are mixed from several chips.
        batch_pixels: Largest number of pixels in a batch. Samples of equal size share a batch up to this number. A
            larger sample, or a sample whose size no other sample has, is a batch of its own. null for batches of one
            sample.
        pad_batches: Also put training samples of unequal size into one batch and pad them with ignored pixels.
        loader: Settings of the worker processes.
        unlabelled: Scenes without masks, from which the task `student` also learns: one file, a folder, a pattern such
            as `scenes/*.tif`, or a text file with one path per line. They are added to the scenes of the manifest that
            have no mask.
        views: Strongly changed views of unlabelled samples.

    Attributes:
        maps: Probability maps of a teacher: a file, a folder, a pattern or a list, as for `unlabelled`; None for no
            maps. Set this attribute before `setup`.
        by_scene: True if the model has the normalisation "scene". The values of each scene are then matched to the
            statistics of the training images. Set this attribute before `setup`.

    Raises:
        ConfigError: A number is out of range, or an extra augmentation does not fit the bands.
        DatasetError: The folder holds no dataset.
    """

    def __init__(
        self,
        *,
        root: Path,
        bands: list[int | str] | None = None,
        labels: LabelMapping = PLAIN_LABELS,
        nodata: float | None = None,
        fold: int = 0,
        folds: int = 5,
        augmentation: AugmentationConfig = AugmentationConfig(),
        seed: int = 0,
        workers: int = 0,
        chips: ChipConfig = ChipConfig(),
        mixing: MixingConfig = MixingConfig(),
        batch_pixels: int | None = None,
        pad_batches: bool = False,
        loader: LoaderConfig = LoaderConfig(),
        unlabelled: Path | None = None,
        views: ViewConfig = ViewConfig(),
    ) -> None:
        super().__init__()
        for name, number in (("seed", seed), ("workers", workers), ("batch_pixels", batch_pixels or 0)):
            if number < 0:
                raise ConfigError(f"data.{name} is {number}; wanted 0 or more")
        if pad_batches and not batch_pixels:
            raise ConfigError("data.pad_batches is true, but batches hold one sample; set data.batch_pixels")
        if mixing.active and not chips.size:
            raise ConfigError("data.mixing is above 0, but whole scenes differ in size; set data.chips.size")
        self.scenes = read_catalogue(root, folds, labels)
        self.root, self.fold, self.folds, self.nodata, self.labels = root, fold, folds, nodata, labels
        with open_raster(self.scenes[0].image) as image:
            self._set_aside = [] if bands else alpha_bands(image)
            self.bands = band_indexes(self.scenes, bands) if bands else data_bands(image)
            self._dates = band_dates(image, self.bands) if max(self.bands) <= image.count else ()
        require_dates(augmentation, self._dates)
        build_extras(augmentation.extra, len(self.bands))  # Errors are raised now rather than at the first sample.
        self.augmentation, self.mixing, self.seed, self.workers = augmentation, mixing, seed, workers
        self._nodata_found = False
        self.chips, self.batch_pixels, self.pad_batches, self.loader = chips, batch_pixels, pad_batches, loader
        self.unlabelled, self.views = unlabelled, views
        self.maps: Path | None = None
        self.by_scene = False

    @property
    def band_count(self) -> int:
        """Number of bands that the model reads."""
        return len(self.bands)

    @property
    def note(self) -> str:
        """Notes for the user on nodata, alpha bands, unused scenes, and unlabelled scenes that overlap test scenes."""
        lines = "" if self.nodata is None else self._unmatched_nodata(self.nodata)
        if self._set_aside:
            lines += (
                f"note: band {self._set_aside[0]} of {self.scenes[0].image} is tagged as alpha and read as a mask; if "
                f"it holds data, name all bands, for example --data.bands={sorted([*self.bands, *self._set_aside])}\n"
            )
        if self.loads_views:
            return lines + overlap_note(self.unlabelled_grids, list(self._grids_of(self.held_out_scenes).values()))
        unused = unlabelled_rows(self.root)
        if not self.views.count and (unused or self.unlabelled):
            what = f"{counted(unused, 'scene')} of the manifest without a mask" if unused else f"{self.unlabelled}"
            lines += f"note: {what}: not used in training; to learn from unlabelled scenes too, add --task=student\n"
        return lines

    def _unmatched_nodata(self, nodata: float) -> str:
        _ = self.statistics  # This property also sets `_nodata_found`.
        unmatched = unmatched_nodata(nodata, self._nodata_found, "--data.nodata")
        return f"note: {self.root}: {unmatched}\n" if unmatched else ""

    @property
    def training_scenes(self) -> list[Scene]:
        """Scenes of all folds except the held-out one."""
        return [scene for scene in self.scenes if scene.fold != self.fold]

    @property
    def held_out_scenes(self) -> list[Scene]:
        """Scenes of the held-out fold."""
        return [scene for scene in self.scenes if scene.fold == self.fold]

    @cached_property
    def grids(self) -> list[Grid]:
        """Grid of each scene, checked against the grid of its mask."""
        return [check_scene(scene, self.bands) for scene in self.scenes]

    @cached_property
    def unlabelled_scenes(self) -> list[UnlabelledScene]:
        """Scenes without a mask: first those of the manifest that are not held out, then those that the user named."""
        return read_unlabelled(self.root, self.unlabelled, self.fold)

    @property
    def loads_views(self) -> bool:
        """True if training samples come with views of unlabelled scenes."""
        return self.views.count > 0 and bool(self.unlabelled_scenes)

    @cached_property
    def unlabelled_grids(self) -> list[Grid]:
        """Grid of each unlabelled scene, checked for bands and against the held-out scenes."""
        return check_unlabelled(self.unlabelled_scenes, self.bands, self.held_out_scenes)

    @cached_property
    def teacher_maps(self) -> Maps | None:
        """Map of each training scene or unlabelled scene that has a map; None if `maps` is None."""
        if self.maps is None:
            return None
        unlabelled = self.unlabelled_grids if self.loads_views else []
        found = match_maps(self.maps, [*self._grids_of(self.training_scenes).values(), *unlabelled])
        require_maps(self.maps, [grid.path for grid in unlabelled], found)
        return found

    @property
    def median_side(self) -> float:
        """Side of the chips in pixels; for whole scenes, the median of sqrt(height * width) over training scenes."""
        if self.chips.size:
            return float(self.chips.size)
        grids = self._grids_of(self.training_scenes).values()
        return float(np.median([np.sqrt(grid.height * grid.width) for grid in grids]))

    @cached_property
    def statistics(self) -> BandStatistics:
        """Statistics of the training scenes in stored units, from the cache of `prepare.py stats` if available."""
        sampling = Sampling(tuple(self.bands), self.nodata, self.fold)
        found = cached_statistics(self.root, self.training_scenes, sampling)
        if found:
            self._nodata_found = found.nodata_found
            return found.bands
        pixels = ValidPixels(self.training_scenes, sampling)
        statistics = band_statistics(pixels)
        self._nodata_found = pixels.nodata_found
        return statistics

    def fingerprint(self) -> dict[str, object]:
        """Hash of the dataset."""
        return dataset_fingerprint(self.root, self.scenes)

    def setup(self, stage: str) -> None:
        """Read every file once, so that problems are reported before the first step.

        Raises:
            DatasetError: A split is empty, an image is too large or differs from the others in bands or scale, the
                training split lacks a class, or the held-out split has no label.
            RasterError: A file cannot be read, or a mask holds unknown values.
        """
        for name, scenes in (("training", self.training_scenes), ("held-out", self.held_out_scenes)):
            if not scenes:
                raise DatasetError(
                    f"{self.root}: no {name} scene with data.fold {self.fold} of {self.folds} folds, "
                    f"{len(self.scenes)} scenes in all; choose another fold or add scenes"
                )
        if stage == "fit" and not self.chips.size:
            for grid in self.grids:
                require_loadable(grid, self.band_count)
        unlabelled = self._checked_unlabelled() if stage == "fit" and self.loads_views else []
        if not self.by_scene:  # With statistics of each scene, scenes may have their own units.
            require_one_scaling([*self.grids, *unlabelled], self.bands)
        _ = self._labels, self.statistics, self.teacher_maps, self.matching
        if stage == "fit":
            require_both_classes(self.root, [self._labels[scene] for scene in self.training_scenes])
        require_any_label(self.root, [self._labels[scene] for scene in self.held_out_scenes])

    def _checked_unlabelled(self) -> list[Grid]:
        """Grids of the unlabelled scenes, after the checks that training needs."""
        if not self.chips.size:
            for grid in self.unlabelled_grids:
                require_loadable(grid, self.band_count)
        return self.unlabelled_grids

    @cached_property
    def _labels(self) -> dict[Scene, LabelCounts]:
        return {scene: count_labels(scene) for scene in self.scenes}

    def train_dataloader(self) -> WatchedLoader:
        """Loader of training samples, in an order that depends only on seed and epoch."""
        augment = Augmentation(self.augmentation, self.statistics.std, self.statistics.mean, self._dates)
        grids, maps, reading = self._grids_of(self.training_scenes), self.teacher_maps, self._reading
        matching = self.matching
        if self.chips.size:
            chips = RandomChips(
                grids, self.chips, reading, augment, self.seed, maps=maps, mixing=self.mixing, matching=matching
            )
            return self._loader(self._with_views(chips), [(self.chips.size, self.chips.size)] * len(chips), self.seed)
        length = max(len(grids), len(self.unlabelled_scenes)) if self.loads_views else len(grids)
        upright = bool(self.batch_pixels)
        scenes = SceneDataset(
            self.training_scenes, reading, augment, self.seed, upright, length=length, maps=maps, matching=matching
        )
        sizes = [(grid.height, grid.width) for grid in grids.values()]
        return self._loader(self._with_views(scenes), [sizes[i % len(sizes)] for i in range(length)], self.seed)

    def _with_views(self, examples: Dataset[Example]) -> Dataset[Example]:
        """Add views of unlabelled samples to examples if such views are configured."""
        if not self.loads_views:
            return examples
        mean, std = self.statistics.mean, self.statistics.std
        samples = self.unlabelled_samples(clean_changes(self.augmentation, mean, std, self._dates))
        strong = strong_changes(self.views, mean, std, self._dates)
        return WithViews(examples, samples, self.views, strong, samples.seed)

    def unlabelled_samples(self, augment: Augment | None = None) -> RandomChips[UnlabelledScene] | SceneDataset:
        """Samples of unlabelled scenes: random chips if chips have a size, otherwise whole scenes.

        The sampling `weight` also applies to unlabelled chips. The sampling `cropland` does not, since it needs masks.

        Args:
            augment: Random change of a sample; None for no change.
        """
        grids, matching = dict(zip(self.unlabelled_scenes, self.unlabelled_grids, strict=True)), self.matching
        # Another seed, so that unlabelled samples share no random numbers with labelled samples.
        seed = int(np.random.SeedSequence([self.seed, 1]).generate_state(1)[0])
        reading, maps = self._reading, self.teacher_maps
        if self.chips.size is None:
            scenes, places = list(grids), list(grids.values())
            return SceneDataset(scenes, reading, augment, seed, True, maps=maps, grids=places, matching=matching)
        chips = self.chips if self.chips.sampling == "weight" else replace(self.chips, sampling="uniform")
        return RandomChips(grids, chips, reading, augment, seed, maps=maps, matching=matching)

    def val_dataloader(self) -> WatchedLoader:
        """Loader of the held-out scenes, or of all their chips, in the order of the scenes' names."""
        grids = self._grids_of(self.held_out_scenes)
        if self.chips.size:
            chips = GridChips(grids, self.chips.size, self._reading, self.chips.halo, matching=self.matching)
            return self._loader(chips, [(block.read.height, block.read.width) for _, block in chips.chips])
        scenes = SceneDataset(self.held_out_scenes, self._reading, matching=self.matching)
        return self._loader(scenes, [(grid.height, grid.width) for grid in grids.values()])

    def test_dataloader(self) -> WatchedLoader:
        """Same loader as for validation, because only one fold is held out."""
        return self.val_dataloader()

    def state_dict(self) -> dict[str, object]:
        """Description of the training images for the checkpoint, as plain values.

        Keys: `bands`, 1-based; `band_names`; `image_bands`, the number of bands in an image; `labels`, the meaning of
        the mask values; `nodata`, the additional nodata value or None; `pixel_size_m`, the median pixel side in metres,
        or None if unknown; `scales` and `offsets` of the bands, or None if no image states them.
        """
        with open_raster(self.grids[0].path) as image:
            texts = band_texts(image)
            names = [texts[band - 1] for band in self.bands]
            image_bands = int(image.count)
        sizes = [grid.pixel_size_m for grid in self.grids]
        known = [size for size in sizes if size is not None]
        scales, offsets = (None if self.by_scene else require_one_scaling(self.grids, self.bands)) or (None, None)
        return {
            "band_names": names,
            "bands": [int(band) for band in self.bands],
            "image_bands": image_bands,
            "labels": self.labels.plain,
            "nodata": None if self.nodata is None else float(self.nodata),
            "pixel_size_m": float(np.median(known)) if known else None,
            "scales": None if scales is None else list(scales),
            "offsets": None if offsets is None else list(offsets),
        }

    @property
    def _shard(self) -> Shard:
        """Part of the samples that this process loads: all samples, unless the trainer has several processes."""
        return Shard(self.trainer.global_rank, self.trainer.world_size) if self.trainer else WHOLE

    @cached_property
    def matching(self) -> MatchedScenes | None:
        """Matching of each scene's values to the statistics of the training images; None if `by_scene` is False."""
        if not self.by_scene:
            return None
        matching = MatchedScenes(self._reading, self.statistics.std)
        matching.measure(with_progress(self._images, "statistics of the scenes"))
        return matching

    @property
    def _images(self) -> list[Path]:
        return [scene.image for scene in (*self.scenes, *(self.unlabelled_scenes if self.loads_views else ()))]

    @property
    def _reading(self) -> Reading:
        return Reading(self.bands, self.statistics.mean, self.nodata, self._dates)

    def _grids_of(self, scenes: list[Scene]) -> dict[Scene, Grid]:
        grid_of = dict(zip(self.scenes, self.grids, strict=True))
        return {scene: grid_of[scene] for scene in scenes}

    def _loader(self, dataset: Dataset[Example], sizes: list[Size], seed: int | None = None) -> WatchedLoader:
        """Loader of samples: shuffled by a seed for training; without a seed, in the order of the dataset."""
        training, shard = seed is not None, self._shard
        if shard.count > 1:
            dataset = PaddingIgnored(dataset)
        areas = [height * width for height, width in sizes]
        largest = example_bytes(1, max([*areas, self.batch_pixels or 0]), self.band_count)
        if training and self.loads_views:
            side = self.chips.size
            pixels = side * side if side else max(grid.height * grid.width for grid in self.unlabelled_grids)
            together = max(1, (self.batch_pixels or 0) // min(areas))
            largest += together * view_bytes(pixels, self.band_count, self.views)
        if not self.batch_pixels:
            order = EpochSampler(len(sizes), seed, shard)
            return build_loader(dataset, Batching(order, batch_bytes=largest), self.workers, self.loader)
        pad, drop_last = training and self.pad_batches, training and self.loader.drop_last
        batches = BucketSampler(EpochSampler(len(sizes), seed), sizes, self.batch_pixels, pad, drop_last, shard=shard)
        batching = Batching(batches, PaddingCollate(self.statistics.mean), largest)
        return build_loader(dataset, batching, self.workers, self.loader)
