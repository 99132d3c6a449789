"""Start training on a part of the samples."""

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import lightning as L
import numpy as np
from torch.utils.data import DataLoader

from seg.errors import ConfigError


class KeepingSampler(Protocol):
    """A sampler, of samples or of batches, that can leave some out."""

    def keep(self, indexes: Collection[int] | None) -> None:
        """Give these samples only; None for all."""

    def batches_of(self, indexes: Collection[int]) -> int:
        """How many batches these samples make."""


class SceneLike(Protocol):
    """A scene with its weight.

    Attributes:
        image: Its raster.
        weight: Its quality, above 0.
    """

    image: Path
    weight: float


class GridLike(Protocol):
    """The size of a raster.

    Attributes:
        path: Its file.
        height: Its rows.
        width: Its columns.
    """

    path: Path
    height: int
    width: int


class ChipsLike(Protocol):
    """Whether samples are chips.

    Attributes:
        size: The side of a chip; None where samples are whole scenes.
    """

    size: int | None


class SceneData(Protocol):
    """A data module over scenes.

    Attributes:
        seed: Of the run.
        chips: Whether its samples are chips.
        training_scenes: The scenes to train on; if samples are scenes, in their order.
        grids: The grid of every scene.
    """

    seed: int
    chips: ChipsLike
    training_scenes: Sequence[SceneLike]
    grids: Sequence[GridLike]


class WarmupData(L.Callback):
    """Train on a share of the samples at first, and on all after some epochs.

    The samples are ranked once, by the run's seed where they are equal, and each epoch takes the first of them: which
    ones depends on seed and epoch alone, and no sample that was shown is left out later.

    Args:
        share: Share of the samples in the first epoch, above 0; 1 for all.
        epochs: Epochs until all are shown, along a straight line.
        by: Which ones come first: those with the highest weight in the manifest, the largest scenes (small ones teach
            little and make the noisiest steps), or random ones. Chips are drawn anew each epoch, so theirs is random.

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
                f"warmup_data has share={share}, epochs={epochs}; wanted a share above 0 and below 1 with epochs >= 1, "
                "or share=1 with epochs=0 for no warm-up"
            )
        self.share, self.epochs, self.by = share, epochs, by
        self._ranking: list[int] = []

    @property
    def grows(self) -> bool:
        """Whether the epochs grow; the task asks when it counts the steps of the run."""
        return self.epochs > 0

    def shown(self, epoch: int, samples: int) -> int:
        """How many of so many samples an epoch, counted from 0, has."""
        if epoch >= self.epochs:
            return samples
        return math.ceil(samples * (self.share + (1 - self.share) * epoch / self.epochs) - 1e-9)

    def batches_of_epoch(self, trainer: L.Trainer, epoch: int) -> int:
        """The batches of an epoch, counted from 0."""
        ranking = self._ranked(trainer)
        return _limited(trainer, _sampler(trainer).batches_of(ranking[: self.shown(epoch, len(ranking))]))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Choose the samples also where a run goes on in the middle of an epoch."""
        self._apply(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Choose the samples of this epoch."""
        self._apply(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forget the samples; another run may have others."""
        self._ranking = []

    def state_dict(self) -> dict[str, Any]:
        """The samples' ranking, by their index, as far as a run has begun."""
        return {"ranking": list(self._ranking)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the same ranking."""
        self._ranking = list(state_dict["ranking"])

    def _apply(self, trainer: L.Trainer) -> None:
        if not self.epochs:
            return
        ranking = self._ranked(trainer)
        shown = self.shown(trainer.current_epoch, len(ranking))
        _sampler(trainer).keep(None if shown == len(ranking) else ranking[:shown])
        # Lightning takes the length of an epoch from the first one. To let it load the data anew for each would start
        # all workers again.
        trainer.fit_loop.max_batches = _limited(trainer, len(_loader(trainer)))
        if isinstance(trainer.val_check_interval, float):
            trainer.val_check_batch = max(1, int(trainer.fit_loop.max_batches * trainer.val_check_interval))

    def _ranked(self, trainer: L.Trainer) -> list[int]:
        """All samples, the first to be shown first."""
        if len(self._ranking) != len(_samples(trainer)):
            self._ranking = self._rank(trainer)
        return self._ranking

    def _rank(self, trainer: L.Trainer) -> list[int]:
        data = cast(SceneData, trainer.datamodule)  # type: ignore[attr-defined]  # set by a connector
        count = len(_samples(trainer))
        order = np.random.default_rng([data.seed, count]).permutation(count)
        merits = np.zeros(count)
        if self.by != "random":
            if data.chips.size is not None:
                raise ConfigError(
                    f"warmup_data.by is {self.by}, but the samples are chips, drawn from all scenes; wanted random, or "
                    "whole scenes, data.chips.size=null"
                )
            pixels = {grid.path: float(grid.height) * grid.width for grid in data.grids}
            merits = np.array(
                [scene.weight if self.by == "weight" else pixels[scene.image] for scene in data.training_scenes]
            )
        return [int(index) for index in order[np.argsort(-merits[order], kind="stable")]]


def _loader(trainer: L.Trainer) -> DataLoader[Any]:
    return cast("DataLoader[Any]", trainer.train_dataloader)


def _samples(trainer: L.Trainer) -> Sequence[object]:
    return cast("Sequence[object]", _loader(trainer).dataset)


def _sampler(trainer: L.Trainer) -> KeepingSampler:
    """What decides over the samples of an epoch."""
    loader = _loader(trainer)
    for sampler in (loader.batch_sampler, loader.sampler):
        if hasattr(sampler, "keep"):
            return cast(KeepingSampler, sampler)
    raise ConfigError(
        f"warmup_data cannot leave samples out of a {type(loader.sampler).__name__}, as "
        "trainer.overfit_batches uses; leave one of the two out"
    )


def _limited(trainer: L.Trainer, batches: int) -> int:
    """What trainer.limit_train_batches leaves of some batches."""
    limit = trainer.limit_train_batches
    if isinstance(limit, int):
        return min(batches, limit)
    return batches if limit is None else max(1, int(batches * limit))
