"""Whole scenes as training examples."""

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from seg.data.dataset.catalogue import Scene
from seg.data.dataset.unlabelled import AnyScene
from seg.data.loading.worker_watch import watched
from seg.data.sample import Augment, Example, Sample, SampleKey, example_of
from seg.data.samples.layers import Maps, labels_of, read_labels, read_map, read_pixels
from seg.data.samples.open_rasters import OpenRasters
from seg.raster.chips import Reading, whole
from seg.raster.grid import Grid
from seg.raster.scene_statistics import MatchedScenes

_PARTNER = 3
"""Number of the random stream for partners; augmentation uses the stream without a number."""


class SceneDataset(Dataset[Example]):
    """One example for each scene, at the size of the scene.

    Args:
        scenes: Scenes in the order of their indexes.
        reading: Settings for reading pixels.
        augment: Random change of a sample; None for no change.
        seed: Seed of the dataset. Seed, epoch and index determine all random choices for a sample, whichever worker
            loads the sample.
        upright: Transpose an example if augmentation swapped its sides, so that all examples of a batch have the same
            size.
        length: Number of examples in an epoch. Scenes are repeated with other random choices to reach this number. None
            for one example per scene.
        maps: Probability maps of a teacher; None if there are no maps.
        grids: Grids of the scenes; only `partner` needs them.
        matching: Matching of each scene's values to the training images; None to keep the stored values.
    """

    def __init__(
        self,
        scenes: Sequence[AnyScene],
        reading: Reading,
        augment: Augment | None = None,
        seed: int = 0,
        upright: bool = False,
        *,
        length: int | None = None,
        maps: Maps | None = None,
        grids: Sequence[Grid] = (),
        matching: MatchedScenes | None = None,
    ) -> None:
        self.scenes = scenes
        self.reading = reading
        self.augment = augment
        self.seed = seed
        self.upright = upright
        self.length = len(scenes) if length is None else length
        self.maps, self.matching = maps, matching
        self._sizes = [(grid.height, grid.width) for grid in grids]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: SampleKey | int) -> Example:
        """Example of a key; a bare index means epoch 0.

        Raises:
            RasterError: A file cannot be read, or the mask has unknown values.
        """
        if isinstance(key, int):
            key = SampleKey(0, key)
        scene, sample = self.sample(key)
        return example_of(sample, self.reading, scene.image.name)

    def sample(self, key: SampleKey) -> tuple[AnyScene, Sample]:
        """Scene of a key, and its augmented sample; errors are those of `__getitem__`."""
        scene = self.scenes[key.index % len(self.scenes)]
        return scene, self._augmented(scene, np.random.default_rng([self.seed, key.epoch, key.index]))

    def partner(self, key: SampleKey) -> Sample:
        """Augmented sample of a random scene that is as large as the key's scene; the two may be the same scene."""
        random = np.random.default_rng([self.seed, key.epoch, key.index, _PARTNER])
        size = self._sizes[key.index % len(self.scenes)]
        alike = [scene for scene, other in zip(self.scenes, self._sizes, strict=True) if other == size]
        return self._augmented(alike[int(random.integers(len(alike)))], random)

    def _augmented(self, scene: AnyScene, random: np.random.Generator) -> Sample:
        with watched(str(scene.image)):
            sample = read_sample(scene, self.reading, self.maps, self.matching)
            shape = sample.mask.shape
            if self.augment is not None:
                sample = self.augment(sample, random)
            turned = self.upright and sample.mask.shape == shape[::-1] != shape
            return _transposed(sample) if turned else sample


def read_sample(
    scene: AnyScene, reading: Reading, maps: Maps | None = None, matching: MatchedScenes | None = None
) -> Sample:
    """Read a whole scene; opens the files in this process, because GDAL handles do not survive a fork.

    Args:
        scene: A scene with or without a mask.
        reading: Settings for reading pixels.
        maps: Probability maps of a teacher; None if there are no maps.
        matching: Matching of the scene's values to the training images; None to keep the stored values.

    Raises:
        RasterError: A file cannot be read, or the mask has unknown values.
    """
    with OpenRasters() as rasters:
        window = whole(rasters[scene.image])
        chip = read_pixels(rasters, scene, window, reading, matching)
        known = isinstance(scene, Scene)
        labels = read_labels(rasters, scene, window, reading) if known else labels_of(chip.valid)
        return Sample(chip.image, labels, chip.valid, read_map(rasters, scene, window, maps), chip.missing)


def _transposed(sample: Sample) -> Sample:
    percent = None if sample.percent is None else sample.percent.T
    missing = None if sample.missing is None else sample.missing.T
    return Sample(sample.image.transpose(0, 2, 1), sample.mask.T, sample.valid.T, percent, missing)
