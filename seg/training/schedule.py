"""How the learning rate goes over a run."""

import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Literal, Protocol, get_args, runtime_checkable

import lightning as L
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from seg.errors import ConfigError

ScheduleName = Literal["cosine", "poly", "step", "one_cycle", "constant"]


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """The share of the learning rate at each optimiser step, over the whole run.

    Args:
        name: cosine to 0 (Loshchilov and Hutter 2017, https://openreview.net/forum?id=Skq89Scxx), poly to 0, step,
            one_cycle (Smith and Topin 2019, https://doi.org/10.1117/12.2520589) or constant.
        power: Of poly: the share is (1 - progress)^power; 0.9 is DeepLab's (Chen et al. 2018,
            https://doi.org/10.1109/TPAMI.2017.2699184).
        milestones: Of step: shares of the run, rising, after each of which the rate is multiplied with gamma. The
            defaults are those of He et al. 2016 (https://doi.org/10.1109/CVPR.2016.90) on CIFAR-10.
        gamma: Of step, above 0 and at most 1.
        warm_share: Of one_cycle: share of the run over which the rate rises, above 0 and below 1.
        start_divisor: Of one_cycle: the rate starts at the learning rate divided by this, 1 or more.
        end_divisor: Of one_cycle: the rate ends at that of the start divided by this, 1 or more. Both ways are half a
            cosine; momentum stays as it is. The defaults are PyTorch's.

    Raises:
        ConfigError: A value is out of range.
    """

    name: ScheduleName = "cosine"
    power: float = 0.9
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    warm_share: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4

    def __post_init__(self) -> None:
        rising = all(first < second for first, second in pairwise((0.0, *self.milestones, 1.0)))
        for name, fits, wanted in (
            ("name", self.name in get_args(ScheduleName), f"one of {', '.join(get_args(ScheduleName))}"),
            ("power", 0 < self.power < math.inf, "above 0"),
            ("milestones", rising, "rising shares of the run, above 0 and below 1"),
            ("gamma", 0 < self.gamma <= 1, "above 0 and at most 1"),
            ("warm_share", 0 < self.warm_share < 1, "above 0 and below 1"),
            ("start_divisor", 1 <= self.start_divisor < math.inf, "1 or more"),
            ("end_divisor", 1 <= self.end_divisor < math.inf, "1 or more"),
        ):
            if not fits:
                raise ConfigError(f"model.schedule.{name} is {getattr(self, name)}; wanted {wanted}")

    def arguments(self) -> dict[str, object]:
        """The configuration as plain values, for checkpoints."""
        return asdict(self) | {"milestones": list(self.milestones)}

    def factor(self, progress: float) -> float:
        """The share of the learning rate, 0 to 1.

        Args:
            progress: Share of the run's optimiser steps that were taken; above 1 counts as 1.
        """
        progress = min(progress, 1.0)
        match self.name:
            case "cosine":
                return (1 + math.cos(math.pi * progress)) / 2
            case "poly":
                return float((1 - progress) ** self.power)
            case "step":
                return float(self.gamma ** sum(progress >= milestone for milestone in self.milestones))
            case "one_cycle":
                return self._one_cycle(progress)
            case "constant":
                return 1.0

    def _one_cycle(self, progress: float) -> float:
        start = 1 / self.start_divisor
        if progress < self.warm_share:
            return _half_cosine(start, 1.0, progress / self.warm_share)
        return _half_cosine(1.0, start / self.end_divisor, (progress - self.warm_share) / (1 - self.warm_share))


class RunSchedule(LambdaLR):
    """The rate of each parameter group: its own initial rate times one factor of the step.

    PyTorch's LambdaLR keeps the initial rates and the number of groups of its first moment; here both are those of the
    optimiser, so that a callback may change a group's `initial_lr` or add a group.

    Args:
        optimizer: What it sets the rates of.
        lr_lambda: The factor of an optimiser step, counted from 0.
    """

    def get_lr(self) -> list[float | Tensor]:
        """The rates of the step that comes."""
        factor = self.lr_lambdas[0](self.last_epoch)
        return [group.setdefault("initial_lr", group["lr"]) * factor for group in self.optimizer.param_groups]


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


@runtime_checkable
class GrowsGroups(Protocol):
    """A callback that may change how many batches make a step.

    Attributes:
        grows: Whether it does.
    """

    @property
    def grows(self) -> bool:
        """Whether it does."""

    def steps_of_epoch(self, epoch: int, first_step: int, batches: int) -> int:
        """The steps of an epoch of so many batches that begins, as the run's `epoch`, with the step `first_step`."""


@runtime_checkable
class GrowsEpochs(Protocol):
    """A callback that may change how many batches an epoch has.

    Attributes:
        grows: Whether it does.
    """

    @property
    def grows(self) -> bool:
        """Whether it does."""

    def batches_of_epoch(self, trainer: L.Trainer, epoch: int) -> int:
        """The batches of an epoch, counted from 0."""


def counted_steps(trainer: L.Trainer) -> int | None:
    """The optimiser steps of the whole run from its start; None where Lightning's own estimate is right.

    To be asked before training starts: Lightning takes all epochs for such as the present one.
    """
    callbacks: list[object] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    groups = next((each for each in callbacks if isinstance(each, GrowsGroups) and each.grows), None)
    epochs = next((each for each in callbacks if isinstance(each, GrowsEpochs) and each.grows), None)
    if (groups is None and epochs is None) or trainer.max_epochs is None or trainer.max_epochs < 0:
        return None
    if trainer.train_dataloader is None:
        _ = trainer.estimated_stepping_batches  # loads the data, so that the length of an epoch is known
    batches = trainer.num_training_batches
    if not isinstance(batches, int):
        return None
    steps = 0
    for epoch in range(trainer.max_epochs):
        shown = epochs.batches_of_epoch(trainer, epoch) if epochs else batches
        if groups:
            steps += groups.steps_of_epoch(epoch, steps, shown)
        else:
            steps += math.ceil(shown / trainer.accumulate_grad_batches)
    return min(steps, trainer.max_steps) if trainer.max_steps != -1 else steps
