"""Parameter groups of their own for the stages of a backbone."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import lightning as L
from torch import nn
from torch.optim import Optimizer

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
