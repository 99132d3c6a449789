"""Training, validation and test of a cropland network."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics import MetricCollection

from seg.errors import ConfigError
from seg.losses import CroplandLoss, LossConfig
from seg.metrics import binary_metrics
from seg.models.build import build_model
from seg.models.config import ModelConfig


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW with a cosine from the learning rate to 0 over the whole run.

    Args:
        learning_rate: Its largest value.
        weight_decay: Decay of convolution weights; norms and biases have none.

    Raises:
        ConfigError: A number is out of range.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"model.optimizer.learning_rate is {self.learning_rate}; wanted above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise ConfigError(f"model.optimizer.weight_decay is {self.weight_decay}; wanted 0 or more")


class CroplandTask(L.LightningModule):
    """One logit a pixel, trained with cross-entropy and Dice over the valid pixels.

    Args:
        bands: Channels of the images; the command line takes it from the data.
        model: What the network is made of.
        loss: The mixture of losses.
        optimizer: How weights are updated.
        threshold: Probability above which a pixel counts as cropland, 0 to 1.

    Raises:
        ConfigError: An argument cannot work.
    """

    def __init__(
        self,
        *,
        bands: int,
        model: ModelConfig = ModelConfig(),
        loss: LossConfig = LossConfig(),
        optimizer: OptimizerConfig = OptimizerConfig(),
        threshold: float = 0.5,
    ) -> None:
        super().__init__()
        if not 0 <= threshold <= 1:
            raise ConfigError(f"model.threshold is {threshold}; wanted 0 to 1")
        self.loss = CroplandLoss(loss)
        if model.boundary != (loss.boundary > 0):
            raise ConfigError(
                f"model.model.boundary is {model.boundary} and model.loss.boundary {loss.boundary}; a boundary head "
                "needs a weight above 0, and the weight a head: set both or neither"
            )
        # Plain values only: a checkpoint is loaded without unpickling any class.
        self.save_hyperparameters(
            {
                "bands": bands,
                "model": model.arguments(),
                "loss": asdict(loss),
                "optimizer": asdict(optimizer),
                "threshold": threshold,
            }
        )
        self.model = build_model(model, bands)
        self.optimizer_config = optimizer
        self.val_metrics = binary_metrics(threshold).clone(prefix="val/")
        self.test_metrics = binary_metrics(threshold).clone(prefix="test/")

    def forward(self, image: Tensor) -> Tensor:
        """The (B, 1, H, W) logits of (B, C, H, W) images in stored units."""
        logits: Tensor = self.model(image)
        return logits

    def fill_normalization(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take over the training split's statistics, one value a band, in stored units."""
        self.model.normalization.fill(mean, std)

    def on_fit_start(self) -> None:
        """Refuse to train a network that was not given its band statistics.

        Raises:
            ConfigError: They are missing.
        """
        if not self.model.normalization.filled:
            raise ConfigError(
                "the model has no band statistics; before fit, call fill_normalization with those of the training split"
            )

    def on_train_start(self) -> None:
        """Start at the schedule's rate: a run that is extended was restored with that of its end, which is 0."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = group["initial_lr"] * self._cosine(self.trainer.global_step)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The loss of a batch."""
        return self._shared_step(batch, "train")

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count a batch towards the validation metrics."""
        self._shared_step(batch, "val", self.val_metrics)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Count a batch towards the test metrics."""
        self._shared_step(batch, "test", self.test_metrics)

    def on_save_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Keep the scores at this moment in the checkpoint, as plain numbers."""
        checkpoint["metrics"] = {name: float(value) for name, value in self.trainer.callback_metrics.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the checkpoint of a network for other bands, before its weights are loaded.

        Raises:
            ConfigError: Its number of bands is another.
        """
        trained, found = checkpoint["hyper_parameters"]["bands"], self.hparams["bands"]
        if trained != found:
            raise ConfigError(
                f"the data have {found} bands, but the checkpoint was trained on {trained}; choose them with data.bands"
            )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW without decay on norms and biases, a cosine over all steps."""
        decayed = [weight for weight in self.model.parameters() if weight.ndim > 1]
        others = [weight for weight in self.model.parameters() if weight.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": self.optimizer_config.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=self.optimizer_config.learning_rate,
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._cosine)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _cosine(self, step: int) -> float:
        """Factor of the learning rate; of this trainer's length, also where a checkpoint's was shorter."""
        return (1 + math.cos(math.pi * min(step / self.trainer.estimated_stepping_batches, 1))) / 2

    def _shared_step(self, batch: dict[str, Tensor], stage: str, metrics: MetricCollection | None = None) -> Tensor:
        image, mask = batch["image"], batch["mask"]
        logits, boundary = self.model.heads(image)
        loss: Tensor = self.loss(logits, mask, boundary)
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(image))
        if metrics is not None:
            metrics.update(logits.sigmoid().squeeze(1), mask)
            self.log_dict(metrics, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(image))
        return loss
