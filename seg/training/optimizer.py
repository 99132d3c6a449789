"""Optimiser of a network: its settings, and parameter groups by weight decay and by backbone stage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.optim import Optimizer

from seg.errors import ConfigError
from seg.training.batch_norm import BatchNorm

OptimizerName = Literal["adamw", "sgd"]

NORMS = BatchNorm | nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d | nn.GroupNorm | nn.LayerNorm | nn.RMSNorm
"""Normalisation layers; their scale and shift have no weight decay."""

LARGEST = 1e6
"""Largest learning rate and weight decay. Useful values are far smaller; far larger values overflow float32."""

STAGE = "stage"
"""Key under which a parameter group stores its backbone stage; 0 is the deepest stage. Groups outside the backbone do
not have this key."""


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Optimiser and its settings.

    Args:
        name: adamw (Loshchilov and Hutter 2019, https://openreview.net/forum?id=Bkg6RiCqY7) or sgd.
        learning_rate: Largest learning rate; the schedule and the warm-ups multiply it by their factors.
        weight_decay: Decay of all parameters except norms and biases. adamw decays the weights directly; sgd adds the
            decay to the gradient.
        momentum: Momentum of sgd, 0 to below 1.
        nesterov: Use Nesterov momentum in sgd.

    Raises:
        ConfigError: A value is out of range or contradicts another value.
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
        if not 0 < self.learning_rate <= LARGEST:
            wanted = f"above 0 and at most {LARGEST:g}"
            raise ConfigError(f"model.optimizer.learning_rate is {self.learning_rate}; wanted {wanted}")
        if not 0 <= self.weight_decay <= LARGEST:
            raise ConfigError(
                f"model.optimizer.weight_decay is {self.weight_decay}; wanted 0 or more, at most {LARGEST:g}"
            )
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"model.optimizer.momentum is {self.momentum}; wanted 0 to below 1")
        if self.nesterov and (self.name != "sgd" or self.momentum == 0):
            raise ConfigError(
                f"model.optimizer.nesterov is true with name={self.name}, momentum={self.momentum}; wanted sgd with a "
                "momentum above 0, or nesterov=false"
            )


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """Optimiser with two parameter groups: first the weights that decay, then norms and biases."""
    groups = parameter_groups(model, config.weight_decay)
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, nesterov=config.nesterov)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def set_options(optimizer: Optimizer, model: nn.Module, config: OptimizerConfig) -> None:
    """Set the options of an optimiser from a configuration; the optimiser's state does not change.

    Args:
        optimizer: An optimiser of the kind `config.name`, from `build_optimizer`; its state may come from a checkpoint.
        model: The optimised network.
        config: The settings. The learning rate becomes the initial rate, which schedules scale.
    """
    decays = dict(_decays(model))
    for group in optimizer.param_groups:
        group["initial_lr"] = config.learning_rate
        if any(decays.get(weight) for weight in group["params"]):  # either all weights of a group decay, or none
            group["weight_decay"] = config.weight_decay
        if config.name == "sgd":
            group |= {"momentum": config.momentum, "nesterov": config.nesterov}


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two parameter groups of a network: first with weight decay, then without."""
    decays = dict(_decays(model))
    return [
        {"params": [weight for weight, decay in decays.items() if decay], "weight_decay": weight_decay},
        {"params": [weight for weight, decay in decays.items() if not decay], "weight_decay": 0.0},
    ]


def _decays(model: nn.Module) -> Iterator[tuple[nn.Parameter, bool]]:
    """Pairs of a parameter and True if it decays; norms, biases and channel scales do not decay.

    Pairs are in the order of `model.parameters()`, since optimiser states in checkpoints depend on this order.
    """
    for layer in model.modules():
        for name, weight in layer.named_parameters(recurse=False):
            # Dimensions alone are not enough: a LayerNorm weight may have three, and a bias may have two.
            yield weight, not isinstance(layer, NORMS) and "bias" not in name and weight.ndim > 1


def split_by_stage(optimizer: Optimizer, stages: Sequence[Sequence[nn.Module]]) -> None:
    """Divide the parameter groups of a new optimiser by backbone stage; call this before building a schedule.

    The existing groups keep only parameters outside the backbone and come first. The groups of each stage follow, from
    the deepest stage to the shallowest. They have the settings of the original group and store the number of the stage
    under STAGE. Empty groups are left out.

    Args:
        optimizer: An optimiser that has not stepped yet.
        stages: Layers of each stage, from the shallowest to the deepest.
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
