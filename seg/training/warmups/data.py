"""Warm-up of the data: a growing share of the samples."""

import math
from collections.abc import Sequence
from typing import Any, Literal, cast

import lightning as L
import numpy as np
from torch.utils.data import DataLoader

from seg.data.datamodule import CroplandDataModule
from seg.data.loading.batching import BucketSampler, EpochSampler
from seg.data.loading.grouping import Groups
from seg.errors import ConfigError

KEY = "warmup_data"

SelectingSampler = EpochSampler | BucketSampler | Groups
"""Samplers that can restrict an epoch to some of the samples."""


class WarmupData(L.Callback):
    """Train on a share of the samples at first, and on all samples after some epochs.

    The samples are ranked once, and each epoch uses the first samples of the ranking. Samples of equal rank are in a
    random order that depends on the run's seed. The selection depends only on seed and epoch. A selected sample is also
    part of all later epochs.

    Args:
        share: Share of the samples that the first epoch uses, above 0; 1 for all samples.
        epochs: Epochs until all samples are used; the share grows linearly.
        by: Ranking of the samples. weight: highest weight in the manifest first. size: largest scene first, since small
            scenes make noisy steps. random: random order. Chips are drawn again in each epoch, so only random applies
            to them.

    Raises:
        ConfigError: An argument is out of range.

    Example:
        Trainer(callbacks=[WarmupData(share=0.25, epochs=6, by="weight")])
    """

    def __init__(
        self, *, share: float = 1.0, epochs: int = 0, by: Literal["weight", "size", "random"] = "random"
    ) -> None:
        if not 0 < share <= 1 or epochs < 0 or (share < 1) != (epochs > 0):
            raise ConfigError(
                f"{KEY} has share={share}, epochs={epochs}; wanted a share above 0 and below 1 with epochs >= 1, "
                "or share=1 with epochs=0 for no warm-up"
            )
        self.share, self.epochs, self.by = share, epochs, by
        self._ranking: list[int] = []

    @property
    def grows(self) -> bool:
        """True if the number of samples in an epoch grows."""
        return self.epochs > 0

    def shown(self, epoch: int, samples: int) -> int:
        """Number of samples shown in an epoch.

        Args:
            epoch: The epoch, counted from 0.
            samples: Number of all samples.
        """
        if epoch >= self.epochs:
            return samples
        return math.ceil(samples * (self.share + (1 - self.share) * epoch / self.epochs) - 1e-9)

    def batches_of_epoch(self, trainer: L.Trainer, epoch: int) -> int:
        """Number of batches in an epoch, counted from 0."""
        ranking = self._ranked(trainer)
        return _limited(trainer, _sampler(trainer).batches_of(ranking[: self.shown(epoch, len(ranking))]))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Select the samples for a run that resumes within an epoch."""
        self._apply(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Select the samples of this epoch."""
        self._apply(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Discard the ranking, since the next run may have other samples."""
        self._ranking = []

    def state_dict(self) -> dict[str, Any]:
        """Ranking of the samples by index; empty before a run begins."""
        return {"ranking": list(self._ranking)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the ranking."""
        self._ranking = list(state_dict["ranking"])

    def _apply(self, trainer: L.Trainer) -> None:
        if not self.epochs:
            return
        ranking = self._ranked(trainer)
        shown = self.shown(trainer.current_epoch, len(ranking))
        _sampler(trainer).keep(None if shown == len(ranking) else ranking[:shown])
        # Lightning keeps the length of the first epoch. Reloading the data would update it, but restart all workers.
        trainer.fit_loop.max_batches = _limited(trainer, len(_loader(trainer)))
        if isinstance(trainer.val_check_interval, float):
            trainer.val_check_batch = max(1, int(trainer.fit_loop.max_batches * trainer.val_check_interval))

    def _ranked(self, trainer: L.Trainer) -> list[int]:
        """Indexes of all samples in ranking order."""
        if len(self._ranking) != len(_samples(trainer)):
            self._ranking = self._rank(trainer)
        return self._ranking

    def _rank(self, trainer: L.Trainer) -> list[int]:
        data = cast(CroplandDataModule, trainer.datamodule)  # type: ignore[attr-defined]  # set by a connector
        count = len(_samples(trainer))
        order = np.random.default_rng([data.seed, count]).permutation(count)
        merits = np.zeros(count)
        if self.by != "random":
            if data.chips.size is not None:
                raise ConfigError(
                    f"{KEY}.by is {self.by}, but the samples are random chips; set {KEY}.by=random, or train on "
                    "whole scenes with data.chips.size=null"
                )
            pixels = {grid.path: float(grid.height) * grid.width for grid in data.grids}
            each = [scene.weight if self.by == "weight" else pixels[scene.image] for scene in data.training_scenes]
            merits = np.resize(each, count)  # scenes repeat if an epoch is as long as the number of unlabelled scenes
        return [int(index) for index in order[np.argsort(-merits[order], kind="stable")]]


def _loader(trainer: L.Trainer) -> DataLoader[Any]:
    return cast("DataLoader[Any]", trainer.train_dataloader)


def _samples(trainer: L.Trainer) -> Sequence[object]:
    return cast("Sequence[object]", _loader(trainer).dataset)


def _sampler(trainer: L.Trainer) -> SelectingSampler:
    """Sampler that selects the samples of an epoch."""
    loader = _loader(trainer)
    for sampler in (loader.batch_sampler, loader.sampler):
        if isinstance(sampler, SelectingSampler):
            return sampler
    raise ConfigError(
        f"{KEY} cannot select samples of a {type(loader.sampler).__name__}, which "
        "trainer.overfit_batches uses; use only one of the two options"
    )


def _limited(trainer: L.Trainer, batches: int) -> int:
    """Number of batches after trainer.limit_train_batches."""
    limit = trainer.limit_train_batches
    if isinstance(limit, int):
        return min(batches, limit)
    return batches if limit is None else max(1, int(batches * limit))
