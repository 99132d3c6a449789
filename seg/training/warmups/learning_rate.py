"""Start training with small steps."""

from collections.abc import Sequence
from typing import Any

import lightning as L

from seg.errors import ConfigError
from seg.training.warmups.ramp import Ramp, Shape, place_in_epochs
from seg.training.warmups.rate_scaling import RateScaling

DEFAULT_STEPS = 100


class WarmupLearningRate(RateScaling):
    """Scale the learning rate from a small factor to 1 over the first optimiser steps or epochs, on top of a scheduler.

    Each step sees the scheduled rate times the factor. The position follows the trainer's, so a resumed run goes on
    where it was.

    Args:
        steps: Optimiser steps until the factor is 1; 100 where neither this nor epochs is given, 0 for no warm-up.
        epochs: Epochs until then, instead of steps; parts of one count too.
        start_factor: Factor of the first step, above 0 and at most 1; or a list, one for each parameter group of the
            optimiser in its order, which is that of decayed weights before norms and biases.
        shape: How the factor rises: a straight line or half a cosine.

    Raises:
        ConfigError: An argument is out of range.

    Example:
        Trainer(callbacks=[WarmupLearningRate(steps=100)])
    """

    def __init__(
        self,
        *,
        steps: int | None = None,
        epochs: float | None = None,
        start_factor: float | list[float] = 0.01,
        shape: Shape = "linear",
    ) -> None:
        super().__init__()
        self.start_factors = list(start_factor) if isinstance(start_factor, Sequence) else [start_factor]
        negative = (steps or 0) < 0 or (epochs or 0) < 0
        if negative or not self.start_factors or not all(0 < factor <= 1 for factor in self.start_factors):
            length = f"epochs={epochs}" if steps is None and epochs is not None else f"steps={steps}"
            raise ConfigError(
                f"warm-up has {length}, start_factor={start_factor}; wanted steps >= 0 and 0 < start_factor <= 1"
            )
        self.ramp = Ramp("warmup", DEFAULT_STEPS if steps is None and epochs is None else steps, epochs, shape)
        self._epoch = 0.0

    def factor(self, step: int, epoch: float = 0.0, group: int = 0) -> float:
        """The factor of a parameter group at an optimiser step and a place in epochs, all counted from 0."""
        start = self.start_factors[min(group, len(self.start_factors) - 1)]
        return start + (1 - start) * self.ramp.progress(step, epoch)

    @property
    def scales(self) -> bool:
        """Whether there is a warm-up at all."""
        return self.ramp.wanted

    def rate_factor(self, trainer: L.Trainer, group: dict[str, Any], index: int) -> float:
        """The factor of this step."""
        return self.factor(trainer.global_step, self._epoch, index)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Check that there is a factor for each parameter group.

        Raises:
            ConfigError: A list of factors has another length.
        """
        groups = max((len(optimizer.param_groups) for optimizer in trainer.optimizers), default=0)
        if len(self.start_factors) not in (1, groups):
            raise ConfigError(
                f"warmup.start_factor has {len(self.start_factors)} factors, but the optimiser {groups} parameter "
                "groups; wanted one factor, or one for each group"
            )
        super().on_train_start(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Note the place in epochs."""
        self._epoch = place_in_epochs(trainer, batch_idx)

    def state_dict(self) -> dict[str, Any]:
        """Where in epochs the last batch began."""
        return {"epoch": self._epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._epoch = state_dict["epoch"]
