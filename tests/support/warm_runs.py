"""Short trainings for tests of warm-ups and of resuming."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seg.data.loading.batching import BucketSampler, EpochSampler, PaddingCollate
from seg.data.sample import SampleKey
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.losses.config import LossConfig
from seg.models.config import ModelConfig
from seg.training.optimizer import OptimizerConfig
from seg.training.tasks.cropland import CroplandTask
from support.networks import TINY_NETWORK
from support.training import quiet_trainer

SIDES = ((16, 16), (20, 13), (9, 24), (17, 18), (24, 10), (30, 11), (12, 12))
Example = dict[str, Tensor | str]


def example(height: int, width: int, index: int) -> Example:
    """Scene whose right half is brighter and cropland; its first `index` rows have no label."""
    mask = torch.full((height, width), OTHER, dtype=torch.uint8)
    mask[:, width // 2 :] = CROPLAND
    image = torch.randn(2, height, width, generator=torch.Generator().manual_seed(index)) * 0.1 + mask
    mask[:index] = IGNORE
    return {"image": image, "mask": mask, "name": f"scene_{index}"}


class Scenes(Dataset[Example]):
    """Scenes in memory, each with a weight."""

    def __init__(self, examples: Sequence[Example], weights: Sequence[float] = ()) -> None:
        self.examples = examples
        weights = weights or [1.0] * len(examples)
        self.scenes = [SimpleNamespace(image=Path(f"{i}.tif"), weight=weight) for i, weight in enumerate(weights)]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: SampleKey) -> Example:
        return self.examples[key.index]


class SceneModule(L.LightningDataModule):
    """Loaders of scenes in memory, in the order of this project's sampler."""

    def __init__(self, scenes: Scenes | None = None, batch_pixels: int | None = None) -> None:
        super().__init__()
        self.scenes = scenes or Scenes([example(*side, index) for index, side in enumerate(SIDES)])
        self.seed, self.batch_pixels, self.chips = 0, batch_pixels, SimpleNamespace(size=None)
        self.training_scenes = self.scenes.scenes
        self.sizes = [tuple(one["mask"].shape) for one in self.scenes.examples]
        self.grids = [
            SimpleNamespace(path=scene.image, height=size[0], width=size[1])
            for scene, size in zip(self.scenes.scenes, self.sizes, strict=True)
        ]

    def train_dataloader(self) -> DataLoader[Example]:
        order = EpochSampler(len(self.scenes), self.seed)
        if self.batch_pixels is None:
            return DataLoader(self.scenes, batch_size=1, sampler=order)
        batches = BucketSampler(order, self.sizes, self.batch_pixels, pad=True)
        return DataLoader(self.scenes, batch_sampler=batches, collate_fn=PaddingCollate([0.5, 0.5]))

    def val_dataloader(self) -> DataLoader[Example]:
        return DataLoader(self.scenes, batch_size=1, sampler=EpochSampler(2, None))


def new_task(
    loss: LossConfig = LossConfig(), rate: float = 1e-2, network: ModelConfig = TINY_NETWORK, **options: object
) -> CroplandTask:
    """Task with a tiny network; its initial weights are always the same."""
    torch.manual_seed(0)
    task = CroplandTask(bands=2, model=network, loss=loss, optimizer=OptimizerConfig(learning_rate=rate), **options)
    task.fill_normalization([0.5, 0.5], [0.5, 0.5])
    return task


class Steps(L.Callback):
    """Record number of batches, epoch and learning rates of each optimiser step."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.epochs: list[int] = []
        self.rates: list[list[float]] = []
        self.batches: list[int] = []
        self.validations: list[int] = []
        self._open = 0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.batches.append(0)

    def on_train_batch_start(self, *_: object) -> None:
        self._open += 1
        self.batches[-1] += 1

    def on_before_optimizer_step(self, trainer: L.Trainer, *_: object) -> None:
        self.lengths.append(self._open)
        self.epochs.append(trainer.current_epoch)
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])
        self._open = 0

    def on_validation_start(self, trainer: L.Trainer, *_: object) -> None:
        self.validations.append(trainer.current_epoch)


class SaveAfter(L.Callback):
    """Write a checkpoint at the end of an epoch; epochs are counted from 0."""

    def __init__(self, epoch: int, path: Path) -> None:
        self.epoch, self.path = epoch, path

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            trainer.save_checkpoint(self.path)


@dataclass
class Runs:
    """Two trainings that should end with the same weights."""

    whole: CroplandTask
    resumed: CroplandTask
    whole_steps: Steps
    resumed_steps: Steps

    def assert_alike(self) -> None:
        """Assert bit-identical weights, and equal last steps."""
        taken = self.resumed_steps
        assert taken.lengths
        assert self.whole_steps.lengths[-len(taken.lengths) :] == taken.lengths
        assert self.whole_steps.rates[-len(taken.rates) :] == taken.rates
        wanted = self.whole.state_dict()
        for name, value in self.resumed.state_dict().items():
            assert torch.equal(value, wanted[name]), name


def run_and_resume(
    folder: Path,
    warm_ups: Callable[[], list[L.Callback]],
    make_task: Callable[[], CroplandTask] = new_task,
    **options: object,
) -> Runs:
    """Train for 4 epochs; then train again with new objects from the checkpoint that was written after 2 epochs."""
    path, whole, steps = folder / "half.ckpt", make_task(), Steps()
    quiet_trainer([*warm_ups(), steps, SaveAfter(1, path)], **options).fit(whole, datamodule=SceneModule())
    resumed, after = make_task(), Steps()
    trainer = quiet_trainer([*warm_ups(), after], **options)
    trainer.fit(resumed, datamodule=SceneModule(), ckpt_path=path, weights_only=True)
    return Runs(whole, resumed, steps, after)
