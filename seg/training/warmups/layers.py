"""Warm-up of the layers: the decoder is trained first, then the backbone, stage by stage from the deepest."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import lightning as L
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from seg.errors import ConfigError
from seg.models.segmenter import Segmenter
from seg.models.stages import backbone_stages
from seg.training.optimizer import STAGE
from seg.training.schedule import schedule_of

KEY = "warmup_layers"


class WarmupLayers(L.Callback):
    """Freeze the backbone at first, then release its stages one by one, the deepest first, at a lower learning rate.

    In a frozen stage, parameters have no gradient and no weight decay, and BatchNorm layers use fixed running
    statistics. Only the trainer's epoch determines which stages are frozen. The optimiser has groups for all stages
    from the start. A resumed run therefore continues exactly. This warm-up is most useful for pretrained encoders.

    Args:
        frozen_epochs: Epochs in which the whole backbone is frozen; 0 freezes nothing and changes no learning rate.
        stage_epochs: Epochs between the releases of two stages; 0 releases all stages together.
        rate_factor: Factor of the learning rate of released stages, above 0; or a list with one factor per stage, from
            the deepest stage to the shallowest.

    Raises:
        ConfigError: An argument is out of range.

    Example:
        Trainer(callbacks=[WarmupLayers(frozen_epochs=2, rate_factor=0.1)])
    """

    def __init__(
        self, *, frozen_epochs: int = 0, stage_epochs: int = 1, rate_factor: float | list[float] = 0.1
    ) -> None:
        self.factors = list(rate_factor) if isinstance(rate_factor, Sequence) else [rate_factor]
        if frozen_epochs < 0 or stage_epochs < 0 or not self.factors or not all(factor > 0 for factor in self.factors):
            raise ConfigError(
                f"{KEY} has frozen_epochs={frozen_epochs}, stage_epochs={stage_epochs}, rate_factor={rate_factor}; "
                "wanted epochs >= 0 and factors > 0"
            )
        self.frozen_epochs, self.stage_epochs = frozen_epochs, stage_epochs
        self._stages: list[list[nn.Module]] = []
        self._frozen: dict[int, list[nn.Parameter]] = {}

    @property
    def active(self) -> bool:
        """True if the backbone is frozen at first; the optimiser then needs parameter groups for each stage."""
        return self.frozen_epochs > 0

    def released(self, epoch: int, stages: int) -> int:
        """Number of stages trained in an epoch.

        Args:
            epoch: The epoch, counted from 0.
            stages: Number of stages of the backbone.
        """
        if not self.active:
            return stages
        since = epoch - self.frozen_epochs
        if since < 0:
            return 0
        return stages if self.stage_epochs == 0 else min(1 + since // self.stage_epochs, stages)

    def rate_factor(self, step: int, group: Mapping[str, Any], index: int) -> float:
        """Factor of the learning rate of a parameter group; 1 outside the backbone."""
        return self.factors[min(group[STAGE], len(self.factors) - 1)] if STAGE in group else 1.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the factors to the schedule, and freeze the stages that are frozen in the current epoch.

        Raises:
            ConfigError: The number of factors differs from the number of stages, or several processes would wait for
                gradients of frozen stages.
        """
        if not self.active:
            return
        model = trainer.strategy.model
        if isinstance(model, DistributedDataParallel) and not model.find_unused_parameters:
            raise ConfigError(
                f"{KEY} freezes parameters, and several processes would wait for their gradients; set "
                "trainer.strategy to ddp_find_unused_parameters_true"
            )
        # Stages are found by gradients, so they must be read before this callback freezes parameters.
        self._stages = backbone_stages(cast(Segmenter, pl_module.model))[::-1]
        if len(self.factors) not in (1, len(self._stages)):
            raise ConfigError(
                f"{KEY}.rate_factor has {len(self.factors)} factors, but the backbone has {len(self._stages)} "
                "stages; wanted one factor, or one for each stage"
            )
        schedule_of(trainer).factors[KEY] = self.rate_factor
        self._apply(trainer.current_epoch)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Release the stages that are trained from this epoch on."""
        self._apply(trainer.current_epoch)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Release all stages."""
        self._release_all()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Release all stages."""
        self._release_all()

    def state_dict(self) -> dict[str, Any]:
        """Number of frozen stages, for information; resuming needs only the epoch."""
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
