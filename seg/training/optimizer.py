"""How weights are updated: which optimiser, and which weights it lets decay."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import lightning as L
import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim import Optimizer

from seg.errors import ConfigError

OptimizerName = Literal["adamw", "sgd"]

NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
"""Layers that normalise; batch and instance norms are the first."""


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The optimiser.

    Args:
        name: adamw (Loshchilov and Hutter 2019, https://openreview.net/forum?id=Bkg6RiCqY7) or sgd.
        learning_rate: Its largest value; the schedule scales it.
        weight_decay: Decay of weights; norms and biases have none. With adamw it is apart from the gradient, with sgd a
            part of it.
        momentum: Of sgd, 0 to below 1.
        nesterov: Whether the momentum of sgd is Nesterov's.

    Raises:
        ConfigError: A value is out of range, or does not go with the others.
    """

    name: OptimizerName = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        if self.name not in get_args(OptimizerName):
            raise ConfigError(
                f"model.optimizer.name is {self.name!r}; wanted one of {', '.join(get_args(OptimizerName))}"
            )
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"model.optimizer.learning_rate is {self.learning_rate}; wanted above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise ConfigError(f"model.optimizer.weight_decay is {self.weight_decay}; wanted 0 or more")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"model.optimizer.momentum is {self.momentum}; wanted 0 to below 1")
        if self.nesterov and (self.name != "sgd" or self.momentum == 0):
            raise ConfigError(
                f"model.optimizer.nesterov is true with name={self.name}, momentum={self.momentum}; wanted sgd with a "
                "momentum above 0, or nesterov=false"
            )


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """The optimiser of a network's parameters, in two groups: those that decay, and norms and biases."""
    groups = parameter_groups(model, config.weight_decay)
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, nesterov=config.nesterov)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters of a network as two groups for an optimiser: with the decay, and with none."""
    decays = dict(_decays(model))
    return [
        {"params": [weight for weight, decay in decays.items() if decay], "weight_decay": weight_decay},
        {"params": [weight for weight, decay in decays.items() if not decay], "weight_decay": 0.0},
    ]


def _decays(model: nn.Module) -> Iterator[tuple[nn.Parameter, bool]]:
    """Each parameter, and whether it decays: all but those of norms, biases, and scales of channels.

    In the order of `model.parameters()`, which checkpoints of optimisers rely on.
    """
    for layer in model.modules():
        for name, weight in layer.named_parameters(recurse=False):
            # A LayerNorm over maps has three dimensions, and a bias may have two: dimensions alone do not tell.
            yield weight, not isinstance(layer, NORMS) and "bias" not in name and weight.ndim > 1


STAGE = "stage"


@runtime_checkable
class SplitsGroups(Protocol):
    """A callback that may want the learning rate of each backbone stage for itself.

    Attributes:
        splits_groups: Whether it does.
    """

    @property
    def splits_groups(self) -> bool:
        """Whether it does."""


def wants_stages(trainer: L.Trainer) -> bool:
    """Whether one of the callbacks treats backbone stages apart."""
    callbacks: Sequence[object] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    return any(isinstance(callback, SplitsGroups) and callback.splits_groups for callback in callbacks)


def split_by_stage(optimizer: Optimizer, stages: Sequence[Sequence[nn.Module]]) -> None:
    """Divide the parameter groups of a new optimiser by backbone stage, before a schedule is made for them.

    The groups as they were come first, without the backbone; then those of each stage from the deepest on, with the
    same settings, which hold its number, the deepest being 0, as "stage". A group that would be empty is left out.

    Args:
        optimizer: It has not stepped yet.
        stages: The layers of each stage, from the shallowest to the deepest.
    """
    stage_of = {
        parameter: number
        for number, stage in enumerate(reversed(stages))
        for layer in stage
        for parameter in layer.parameters(recurse=False)
    }
    groups: list[dict[str, Any]] = []
    for number in (None, *range(len(stages))):
        for group in optimizer.param_groups:
            parameters = [parameter for parameter in group["params"] if stage_of.get(parameter) == number]
            if parameters:
                groups.append({**group, "params": parameters} | ({} if number is None else {STAGE: number}))
    optimizer.param_groups[:] = groups
