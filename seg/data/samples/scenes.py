"""Whole scenes as training examples."""

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from seg.data.dataset.catalogue import Scene
from seg.data.loading.worker_watch import watched
from seg.data.sample import Augment, Example, Sample, SampleKey, example_of
from seg.raster.chips import Reading, read_chip, whole
from seg.raster.classes import read_classes
from seg.raster.grid import open_raster


class SceneDataset(Dataset[Example]):
    """One example for each scene, at the size of the scene.

    Args:
        scenes: Scenes in the order of their indexes.
        reading: Settings for reading pixels.
        augment: Random change of a sample; None for no change.
        seed: Seed; with epoch and index, it determines all random choices for a sample in any worker.
        upright: Transpose examples whose sides augmentation swapped, so that all examples of a batch have the same
            size.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        reading: Reading,
        augment: Augment | None = None,
        seed: int = 0,
        upright: bool = False,
    ) -> None:
        self.scenes = scenes
        self.reading = reading
        self.augment = augment
        self.seed = seed
        self.upright = upright

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, key: SampleKey | int) -> Example:
        """Example of a key; a bare index means epoch 0.

        Raises:
            RasterError: A file cannot be read, or the mask has unknown values.
        """
        if isinstance(key, int):
            key = SampleKey(0, key)
        scene = self.scenes[key.index]
        with watched(str(scene.image)):
            sample = read_sample(scene, self.reading)
            shape = sample.mask.shape
            if self.augment is not None:
                sample = self.augment(sample, np.random.default_rng([self.seed, key.epoch, key.index]))
            if self.upright and sample.mask.shape == shape[::-1] != shape:
                sample = Sample(sample.image.transpose(0, 2, 1), sample.mask.T, sample.valid.T)
            return example_of(sample, self.reading, scene.image.name)


def read_sample(scene: Scene, reading: Reading) -> Sample:
    """Read a whole scene; opens the files anew, because GDAL handles do not survive a fork."""
    with open_raster(scene.image) as image, open_raster(scene.mask) as mask:
        chip = read_chip(image, whole(image), reading)
        labels = read_classes(mask, labels=scene.labels)
    return Sample(chip.image, labels, chip.valid)
