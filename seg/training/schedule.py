"""Learning rate over a run: the schedule's rate, multiplied by the factors of warm-ups."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import lightning as L
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from seg.errors import ConfigError

ScheduleName = Literal["cosine", "poly", "step", "one_cycle", "constant"]

LEARNING_RATE = "learning_rate"
"""Name of the learning rate in logs; parameter groups are logged as `learning_rate/pg1`, counted from 1."""

RateFactor = Callable[[int, Mapping[str, Any], int], float]
"""Function that returns a factor of the learning rate. Its arguments are an optimiser step, a parameter group and the
index of the group; steps and indexes are counted from 0."""


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Learning rate at each optimiser step, as a share of its largest value.

    Args:
        name: cosine to 0 (Loshchilov and Hutter 2017, https://openreview.net/forum?id=Skq89Scxx), poly to 0, step,
            one_cycle (Smith and Topin 2019, https://doi.org/10.1117/12.2520589) or constant.
        power: For poly: the rate is multiplied by (1 - progress)^power. DeepLab uses 0.9 (Chen et al. 2018,
            https://doi.org/10.1109/TPAMI.2017.2699184).
        milestones: For step: shares of the run, in ascending order; after each of them, the rate is multiplied by
            gamma. The defaults are those of He et al. 2016 (https://doi.org/10.1109/CVPR.2016.90) for CIFAR-10.
        gamma: For step: factor at each milestone, above 0 and at most 1.
        warm_share: For one_cycle: share of the run over which the rate rises, above 0 and below 1.
        start_divisor: For one_cycle: largest rate divided by the first rate, 1 or more.
        end_divisor: For one_cycle: first rate divided by the last rate, 1 or more. The rise and the fall each follow
            half a cosine; momentum does not change. The defaults of one_cycle are those of PyTorch.

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
        """Share of the largest learning rate, 0 to 1.

        Args:
            progress: Share of the run's optimiser steps that are done; values above 1 count as 1.
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


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


class RunSchedule(LambdaLR):
    """Learning rate of each parameter group: initial rate times the schedule's factor times the callbacks' factors.

    PyTorch's LambdaLR reads the initial rates and the number of groups only once. This class reads them from the
    optimiser at each step, so that callbacks may change a group's `initial_lr` or add groups.

    Args:
        optimizer: The scheduled optimiser.
        lr_lambda: The schedule's factor at an optimiser step, counted from 0.

    Attributes:
        factors: Factors by the key of the callback that adds them. Checkpoints do not store factors, since callbacks
            add them again when training starts.
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.factors: dict[str, RateFactor] = {}
        super().__init__(optimizer, lr_lambda)

    def get_lr(self) -> list[float | Tensor]:
        """Rates of the next optimiser step."""
        scheduled, rates = self.lr_lambdas[0](self.last_epoch), []
        for index, group in enumerate(self.optimizer.param_groups):
            rate = group.setdefault("initial_lr", group["lr"]) * scheduled
            for factor in self.factors.values():
                rate = rate * factor(self.last_epoch, group, index)
            rates.append(rate)
        return rates

    def refresh(self) -> None:
        """Update the rates of the next optimiser step after an initial rate or a factor has changed."""
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """State without the factors, which are methods of callbacks."""
        return {name: value for name, value in super().state_dict().items() if name != "factors"}


def schedule_of(trainer: L.Trainer) -> RunSchedule:
    """Schedule of the trainer's optimiser, for callbacks that add a factor.

    Raises:
        ConfigError: The task has no RunSchedule.
    """
    found = [config.scheduler for config in trainer.lr_scheduler_configs]
    if len(found) != 1 or not isinstance(found[0], RunSchedule):
        kinds = ", ".join(type(schedule).__name__ for schedule in found) or "none"
        raise ConfigError(
            f"a warm-up scales the learning rate of a RunSchedule, but the task's schedule is {kinds}; "
            "return a RunSchedule from configure_optimizers, as ScheduledTask does"
        )
    return found[0]
