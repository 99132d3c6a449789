"""Train the decoder first, then the backbone, stage by stage from its deepest one."""

from collections.abc import Sequence
from typing import Any, Protocol, cast

import lightning as L
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from seg.errors import ConfigError
from seg.training.warmups.rate_scaling import RateScaling

STAGE = "stage"
"""What a parameter group is called by: its backbone stage from the deepest, 0, on; no such key outside the backbone."""


class StagedTask(Protocol):
    """A task whose backbone has stages, with parameter groups of their own if the callback's `splits_groups` is true.

    Under that, its optimiser's groups hold the stage's number, counted from the deepest, as "stage".
    """

    def backbone_stages(self) -> list[list[nn.Module]]:
        """The layers that own the parameters of each stage, from the shallowest to the deepest stage."""


class WarmupLayers(RateScaling):
    """Freeze the backbone at first, then release it stage by stage from the deepest, with a lower learning rate.

    A frozen stage has no gradient, hence neither steps nor decay, and its BatchNorms use their running statistics as
    they are. What is frozen follows from the trainer's epoch alone, and the optimiser has groups for all stages from
    the start, so a resumed run goes on where it was. Of use for pretrained encoders above all.

    Args:
        frozen_epochs: Epochs in which the whole backbone is frozen; 0 freezes nothing and changes no learning rate.
        stage_epochs: Epochs from the release of one stage to that of the next; 0 releases all at once.
        rate_factor: Factor of the learning rate of released stages, above 0; or a list, one for each stage from the
            deepest on.

    Raises:
        ConfigError: An argument is out of range.

    Example:
        Trainer(callbacks=[WarmupLayers(frozen_epochs=2, rate_factor=0.1)])
    """

    def __init__(
        self, *, frozen_epochs: int = 0, stage_epochs: int = 1, rate_factor: float | list[float] = 0.1
    ) -> None:
        super().__init__()
        self.factors = list(rate_factor) if isinstance(rate_factor, Sequence) else [rate_factor]
        if frozen_epochs < 0 or stage_epochs < 0 or not self.factors or not all(factor > 0 for factor in self.factors):
            raise ConfigError(
                f"warmup_layers has frozen_epochs={frozen_epochs}, stage_epochs={stage_epochs}, rate_factor="
                f"{rate_factor}; wanted epochs >= 0 and factors > 0"
            )
        self.frozen_epochs, self.stage_epochs = frozen_epochs, stage_epochs
        self._stages: list[list[nn.Module]] = []
        self._frozen: dict[int, list[nn.Parameter]] = {}

    @property
    def scales(self) -> bool:
        """Whether there is a warm-up at all."""
        return self.frozen_epochs > 0

    @property
    def splits_groups(self) -> bool:
        """Whether the optimiser needs parameter groups for each stage; the task asks when it makes them."""
        return self.scales

    def released(self, epoch: int, stages: int) -> int:
        """How many of so many stages are trained in an epoch, counted from 0."""
        if not self.scales:
            return stages
        since = epoch - self.frozen_epochs
        if since < 0:
            return 0
        return stages if self.stage_epochs == 0 else min(1 + since // self.stage_epochs, stages)

    def rate_factor(self, trainer: L.Trainer, group: dict[str, Any], index: int) -> float:
        """The factor of a stage's groups."""
        return self.factors[min(group[STAGE], len(self.factors) - 1)] if STAGE in group else 1.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Freeze what this epoch freezes, also in the middle of one, where a resumed run may start.

        Raises:
            ConfigError: There is no factor for a stage, or the processes would wait for gradients of frozen stages.
        """
        super().on_train_start(trainer, pl_module)
        if not self.scales:
            return
        model = trainer.strategy.model
        if isinstance(model, DistributedDataParallel) and not model.find_unused_parameters:
            raise ConfigError(
                "warmup_layers freezes parameters, for whose gradients several processes would wait; set "
                "trainer.strategy to ddp_find_unused_parameters_true"
            )
        # Parameters that something else froze before stay out of this.
        self._stages = cast(StagedTask, pl_module).backbone_stages()[::-1]
        if len(self.factors) not in (1, len(self._stages)):
            raise ConfigError(
                f"warmup_layers.rate_factor has {len(self.factors)} factors, but the backbone {len(self._stages)} "
                "stages; wanted one factor, or one for each stage"
            )
        self._apply(trainer.current_epoch)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Release the stages whose time has come."""
        self._apply(trainer.current_epoch)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave nothing frozen."""
        super().on_train_end(trainer, pl_module)
        self._release_all()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave nothing frozen, and the rates as they were."""
        super().on_exception(trainer, pl_module, exception)
        self._release_all()

    def state_dict(self) -> dict[str, Any]:
        """How many stages are frozen now; what is frozen later follows from the epoch."""
        return {"frozen": len(self._frozen)}

    def _apply(self, epoch: int) -> None:
        released = self.released(epoch, len(self._stages))
        for number, stage in enumerate(self._stages):
            if number >= released and number not in self._frozen:
                self._freeze(number, stage)
            elif number < released and number in self._frozen:
                self._release(number)

    def _freeze(self, number: int, stage: list[nn.Module]) -> None:
        parameters = [p for layer in stage for p in layer.parameters(recurse=False) if p.requires_grad]
        self._frozen[number] = parameters
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None
        for layer in stage:
            layer.eval()

    def _release(self, number: int) -> None:
        for parameter in self._frozen.pop(number):
            parameter.requires_grad_(True)
        for layer in self._stages[number]:
            layer.train()

    def _release_all(self) -> None:
        for number in list(self._frozen):
            self._release(number)
