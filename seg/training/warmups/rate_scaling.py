"""Scale learning rates step by step, on top of any scheduler and of each other."""

from typing import Any

import lightning as L
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

SCHEDULED = "scheduled_lr"
"""Where a parameter group keeps the scheduler's rate during a step."""


class RateScaling(L.Callback):
    """Base of callbacks that multiply learning rates during each step of the optimiser.

    Afterwards the scheduled rates are put back, so that schedulers which compute from the current rate are not
    disturbed. Several of these multiply: the first one of a step sets the scheduled rates aside, and whichever comes
    first after it puts them back.
    """

    def __init__(self) -> None:
        self._hooked: list[Optimizer] = []
        self._handles: list[RemovableHandle] = []

    @property
    def scales(self) -> bool:
        """Whether there is anything to scale; if not, the optimiser is left alone."""
        return True

    def rate_factor(self, trainer: L.Trainer, group: dict[str, Any], index: int) -> float:
        """What the rate of a parameter group, which has its index in the optimiser, is multiplied with at this step."""
        raise NotImplementedError

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Hook into each optimiser's step, once even where a task gives a second fit the same optimiser."""
        self._unhook()
        if not self.scales:
            return
        self._hooked = list(trainer.optimizers)
        for optimizer in self._hooked:
            self._handles += [
                optimizer.register_step_pre_hook(lambda optimizer, *_: self._scale(optimizer, trainer)),
                optimizer.register_step_post_hook(lambda optimizer, *_: _put_back(optimizer)),
            ]

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the optimisers as they were."""
        self._unhook()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Put the rates back when a step was broken off, before a checkpoint of that moment keeps them."""
        self._unhook()

    def _scale(self, optimizer: Optimizer, trainer: L.Trainer) -> None:
        for index, group in enumerate(optimizer.param_groups):
            group.setdefault(SCHEDULED, group["lr"])
            group["lr"] = group["lr"] * self.rate_factor(trainer, group, index)

    def _unhook(self) -> None:
        for optimizer in self._hooked:
            _put_back(optimizer)
        for handle in self._handles:
            handle.remove()
        self._hooked.clear()
        self._handles.clear()


def _put_back(optimizer: Optimizer) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group.pop(SCHEDULED, group["lr"])
