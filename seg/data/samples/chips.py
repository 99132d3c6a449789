"""Chips of scenes of any size: windows at random positions for training, and in a grid for validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window
from torch.utils.data import Dataset

from seg.data.augmentation.mixing import MixingConfig, mix_or_keep
from seg.data.dataset.unlabelled import AnyScene
from seg.data.loading.worker_watch import watched
from seg.data.sample import Augment, Example, Sample, SampleKey, example_of
from seg.data.samples.layers import Maps, read_labels, read_map, read_pixels
from seg.data.samples.open_rasters import OpenRasters
from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE
from seg.raster.chips import ByteMask, Reading
from seg.raster.grid import Grid
from seg.raster.scene_statistics import MatchedScenes
from seg.raster.windows import blocks_of, read_spans

SceneT = TypeVar("SceneT", bound=AnyScene)

_PLACES, _MIXING = 1, 2
"""Numbers of the random streams for positions and for mixing; augmentation uses the stream without a number."""


@dataclass(frozen=True, kw_only=True)
class ChipConfig:
    """Settings of chips. If `size` is set, chips replace whole scenes in training and validation.

    Args:
        size: Side of a chip in pixels; null trains and validates on whole scenes.
        per_epoch: Number of training chips in an epoch.
        sampling: Rule for drawing training chips. `uniform` chooses scenes in proportion to their pixels. `cropland`
            does the same; for a share of the chips, positions are drawn again until the chip contains cropland.
            `weight` chooses scenes in proportion to their pixels times their weight in the manifest.
        cropland_share: Share of the chips that should contain cropland if sampling is `cropland`.
        tries: Largest number of positions that are tried for a chip. A position is accepted if the chip contains a
            label. For the cropland share of the chips, it must contain cropland. If no position is accepted, the last
            one is used.
        halo: Width in pixels of the context around the scored part of a validation chip, clipped at the edges of the
            scene.

    Raises:
        ConfigError: A number is out of range.
    """

    size: int | None = None
    per_epoch: int = 1000
    sampling: Literal["uniform", "cropland", "weight"] = "uniform"
    cropland_share: float = 0.5
    tries: int = 10
    halo: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, least in (("size", 1), ("per_epoch", 1), ("tries", 1), ("halo", 0)):
            number = getattr(self, name)
            if number is not None and number < least:
                raise ConfigError(f"data.chips.{name} is {number}; wanted {least} or more")
        if not 0 <= self.cropland_share <= 1:
            raise ConfigError(f"data.chips.cropland_share is {self.cropland_share:g}; wanted 0 to 1")
        if self.size is not None and self.size <= 2 * self.halo:
            raise ConfigError(f"data.chips.halo is {self.halo}; wanted less than half of data.chips.size, {self.size}")


class RandomChips(Dataset[Example], Generic[SceneT]):
    """Chips of one size at random positions; smaller scenes are padded with ignored pixels.

    Args:
        grids: Grid of each scene.
        config: Size, number and positions of chips.
        reading: Settings for reading pixels.
        augment: Random change of a sample; None for no change.
        seed: Seed of the dataset. Seed, epoch and index determine all random choices for a chip, whichever worker loads
            the chip.
        maps: Probability maps of a teacher; None if there are no maps.
        mixing: Shares of chips that are mixed. Each part is augmented separately before mixing, so resampling does not
            blend two scenes.
        matching: Matching of each scene's values to the training images; None to keep the stored values.

    Raises:
        ConfigError: The chips have no size.
    """

    def __init__(
        self,
        grids: Mapping[SceneT, Grid],
        config: ChipConfig,
        reading: Reading,
        augment: Augment | None = None,
        seed: int = 0,
        *,
        maps: Maps | None = None,
        mixing: MixingConfig = MixingConfig(),
        matching: MatchedScenes | None = None,
    ) -> None:
        if config.size is None:
            raise ConfigError("data.chips.size is null; wanted the side of a chip in pixels")
        self.grids, self.config, self.size = list(grids.items()), config, config.size
        self.reading, self.augment, self.seed, self.mixing = reading, augment, seed, mixing
        self.maps, self.matching = maps, matching
        self.shares = _shares(self.grids, config)
        self._rasters = OpenRasters()

    def __len__(self) -> int:
        return self.config.per_epoch

    def __getitem__(self, key: SampleKey | int) -> Example:
        """Chip of a key, with the name of its first scene; a bare index means epoch 0.

        Raises:
            RasterError: A file cannot be read, or the mask has unknown values.
        """
        if isinstance(key, int):
            key = SampleKey(0, key)
        scene, sample = self.sample(key)
        if self.mixing.active:
            random = self._random(key, _MIXING)
            sample = mix_or_keep(sample, lambda number: self.partner(key, number), self.mixing, random)
        return example_of(sample, self.reading, scene.image.name)

    def partner(self, key: SampleKey, number: int = 1) -> Sample:
        """Another augmented chip to mix into the chip of a key; `number` counts such chips from 1."""
        return self.sample(key, _MIXING, number)[1]

    def place(self, key: SampleKey, *part: int) -> tuple[SceneT, Window, ByteMask]:
        """Scene, window and labels of a chip. Only the masks of the tried windows are read.

        Args:
            key: Key of the chip.
            part: Numbers that identify a part to mix into the chip; empty for the chip itself.

        Raises:
            RasterError: A mask cannot be read, or has unknown values.
        """
        random = self._random(key, _PLACES, *part)
        cropland = self.config.sampling == "cropland" and random.random() < self.config.cropland_share
        for tried in range(1, self.config.tries + 1):
            scene, grid = self.grids[int(np.searchsorted(self.shares, random.random(), side="right"))]
            window = _window(grid, self.size, random)
            with watched(chip_name(scene, window)):
                labels = read_labels(self._rasters, scene, window, self.reading)
            fits = (labels == CROPLAND).any() if cropland else (labels != IGNORE).any()
            if fits or tried == self.config.tries:
                break
        return scene, window, labels

    def sample(self, key: SampleKey, *part: int) -> tuple[SceneT, Sample]:
        """Scene of a chip, and the augmented chip before mixing; arguments and errors are those of `place`."""
        scene, window, labels = self.place(key, *part)
        with watched(chip_name(scene, window)):
            chip = read_pixels(self._rasters, scene, window, self.reading, self.matching)
            percent = read_map(self._rasters, scene, window, self.maps)
            sample = _padded(Sample(chip.image, labels, chip.valid, percent, chip.missing), self.size)
            if self.augment is not None:
                sample = self.augment(sample, self._random(key, *part))
            return scene, sample

    def _random(self, key: SampleKey, *purpose: int) -> np.random.Generator:
        """Random stream for a purpose. Separate streams keep the position of a chip independent of mixing."""
        return np.random.default_rng([self.seed, key.epoch, key.index, *purpose])


def chip_name(scene: AnyScene, window: Window) -> str:
    """Name of a chip in error messages."""
    return f"{scene.image}, chip at row {window.row_off}, column {window.col_off}"


def _shares(grids: Sequence[tuple[AnyScene, Grid]], config: ChipConfig) -> npt.NDArray[np.float64]:
    """(N,) end of each scene's interval in [0, 1); intervals are proportional to pixels, or to pixels times weight."""
    pixels = np.array([float(grid.height) * grid.width for _, grid in grids])
    if config.sampling == "weight":
        pixels *= [scene.weight for scene, _ in grids]
    ends: npt.NDArray[np.float64] = np.cumsum(pixels)
    # A scene of weight 0 gets an empty interval; the last interval ends at exactly 1.
    ends /= ends[-1]
    return ends


def _window(grid: Grid, size: int, random: np.random.Generator) -> Window:
    """Random window inside a scene; a scene smaller than the window is used as a whole."""
    top = int(random.integers(max(grid.height - size, 0) + 1))
    left = int(random.integers(max(grid.width - size, 0) + 1))
    return Window(left, top, min(size, grid.width), min(size, grid.height))


def _padded(sample: Sample, size: int) -> Sample:
    """Pad a sample to a square with invalid pixels below and on the right."""
    height, width = sample.mask.shape
    missing = (0, size - height), (0, size - width)
    if missing == ((0, 0), (0, 0)):
        return sample
    return Sample(
        np.pad(sample.image, ((0, 0), *missing)),
        np.pad(sample.mask, missing, constant_values=IGNORE),
        np.pad(sample.valid, missing),
        None if sample.percent is None else np.pad(sample.percent, missing, constant_values=IGNORE),
        None if sample.missing is None else np.pad(sample.missing, missing),
    )


class GridChips(Dataset[Example], Generic[SceneT]):
    """Chips whose cores tile the scenes. The halo around a core is context for the network; its labels are ignored.

    All chips of a scene have the same size. The last chip of a row or column starts earlier and scores fewer pixels.

    Args:
        grids: Grid of each scene.
        size: Side of a chip in pixels; a smaller scene is one chip of its own size.
        reading: Settings for reading pixels.
        halo: Context around a core in pixels, less than half of `size`; clipped at the edges of the scene.
        matching: Matching of each scene's values to the training images; None to keep the stored values.

    Attributes:
        chips: Scene and block of each chip, scene by scene and row by row.
    """

    def __init__(
        self,
        grids: Mapping[SceneT, Grid],
        size: int,
        reading: Reading,
        halo: int = 0,
        *,
        matching: MatchedScenes | None = None,
    ) -> None:
        self.chips = [
            (scene, block)
            for scene, grid in grids.items()
            for block in blocks_of(read_spans(grid.height, size, halo), read_spans(grid.width, size, halo))
        ]
        self.reading, self.matching = reading, matching
        self._rasters = OpenRasters()

    def __len__(self) -> int:
        return len(self.chips)

    def __getitem__(self, key: SampleKey | int) -> Example:
        """Chip of a key; the epoch has no effect.

        Raises:
            RasterError: A file cannot be read, or the mask has unknown values.
        """
        scene, block = self.chips[key if isinstance(key, int) else key.index]
        with watched(chip_name(scene, block.read)):
            pixels = read_pixels(self._rasters, scene, block.read, self.reading, self.matching)
            labels = read_labels(self._rasters, scene, block.read, self.reading)
            scored = np.full_like(labels, IGNORE)
            scored[block.core_within_read] = labels[block.core_within_read]
            return example_of(Sample(pixels.image, scored, pixels.valid), self.reading, scene.image.name)
