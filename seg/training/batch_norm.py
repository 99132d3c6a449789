"""Callbacks for the running statistics of BatchNorm when each batch holds one image.

BatchNorm uses batch statistics in training and running statistics in evaluation. If each batch holds one image, batch
statistics and running statistics can differ widely. Each callback reduces this difference in a different way;
configs/README.md compares their scores.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.training.progress import is_last_validation

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm


def batch_norms(module: nn.Module) -> list[BatchNorm]:
    """BatchNorm layers of a network."""
    return [layer for layer in module.modules() if isinstance(layer, BatchNorm)]


class FreezeBatchNorm(L.Callback):
    """After a share of the epochs, train with BatchNorm's running statistics instead of batch statistics.

    Normalisation by batch statistics removes differences in brightness between chips, but evaluation keeps these
    differences. Validation scores therefore vary strongly from epoch to epoch. When training uses the running
    statistics too, the scores become stable. The scale and shift of the norms are still trained. The switch depends on
    the trainer's epoch, so a resumed run switches at the same epoch.

    Args:
        after: Share of the epochs, 0 to 1, after which the statistics are frozen; 1 never freezes them.

    Raises:
        ConfigError: The share is out of range, or trainer.max_epochs is not set.

    Example:
        Trainer(max_epochs=60, callbacks=[FreezeBatchNorm(after=0.5)])
    """

    def __init__(self, after: float = 1.0) -> None:
        if not 0 <= after <= 1:
            raise ConfigError(f"batch_norm.after is {after}; wanted a share of the epochs, 0 to 1")
        self.after = after

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the norms' mode for a run that resumes within an epoch."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the norms' mode for an epoch; validation restores this mode afterwards."""
        if self.after == 1:
            return
        if trainer.max_epochs is None or trainer.max_epochs < 1:
            raise ConfigError(
                f"batch_norm.after is {self.after}, a share of the epochs, but trainer.max_epochs is "
                f"{trainer.max_epochs}; set max_epochs, or batch_norm.after=1"
            )
        if trainer.current_epoch >= self.after * trainer.max_epochs:
            for norm in batch_norms(pl_module):
                norm.eval()


class BatchNormMomentum(L.Callback):
    """Scale the momentum of BatchNorm to the number of batches in an optimiser step.

    If gradients are accumulated over N batches, running statistics are updated N times per optimiser step. With a
    momentum of 1 - (1 - m)^(1/N) per batch, a step replaces the share m of the statistics, as one batch of N images
    would. If N grows during the run, the momentum changes with it.

    Args:
        momentum: Share of the running statistics that an optimiser step replaces, above 0 and at most 1.

    Raises:
        ConfigError: The share is out of range.

    Example:
        Trainer(accumulate_grad_batches=8, callbacks=[BatchNormMomentum()])
    """

    def __init__(self, momentum: float = 0.1) -> None:
        if not 0 < momentum <= 1:
            raise ConfigError(f"batch norm momentum is {momentum}; wanted above 0 and at most 1")
        self.momentum = momentum
        self._batches = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forget the momentum of an earlier run with another network."""
        self._batches = 0

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Set the momentum of every norm if the number of batches in a step has changed."""
        batches = trainer.accumulate_grad_batches * trainer.world_size
        if batches == self._batches:
            return
        self._batches = batches
        for norm in batch_norms(pl_module):
            norm.momentum = 1 - (1 - self.momentum) ** (1 / batches)


class RecomputeBatchNorm(L.Callback):
    """Before the last validation, replace running statistics by statistics of the whole training split.

    Running statistics lag behind the weights and depend mostly on the last few scenes. This callback averages over all
    batches of the training split, which takes about a third of the time of an epoch. The last validation and the last
    checkpoint use these statistics, so validation must run at the end of the last epoch. List this callback after a
    callback that averages weights, so that the averaged weights are used.

    `torch.optim.swa_utils.update_bn` is not used, because it runs the network in training mode. Dropout would then
    change the statistics, but evaluation does not apply dropout.

    Example:
        Trainer(callbacks=[EMAWeightAveraging(decay=0.98), RecomputeBatchNorm()])
    """

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Recompute the statistics in the last epoch."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or not is_last_validation(trainer):
            return
        datamodule = getattr(trainer, "datamodule", None)
        # A separate loader, because the training loader must keep its position in the epoch.
        loader = datamodule.train_dataloader() if datamodule else trainer.train_dataloader
        images = (batch["image"].to(pl_module.device) for batch in loader or ())
        recompute(pl_module, images)


@torch.no_grad()
def recompute(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Set the running statistics of every BatchNorm to the mean over batches of images.

    Args:
        network: A network in evaluation mode; only its BatchNorm layers are in training mode while the images are
            processed.
        images: Batches (B, C, H, W).
    """
    norms = batch_norms(network)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
        norm.train()
    for image in images:
        network(image)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


class SyncRunningStatistics(L.Callback):
    """Merge the running statistics of several processes, as if one process had processed every batch.

    Each process updates its running statistics from its own batches only, and PyTorch would keep the statistics of the
    first process. After each round of batches, one in each process, this callback merges the statistics with one sum
    over the processes. A single process needs no merging. List this callback after callbacks that recompute statistics
    before a validation.

    Example:
        Trainer(devices=2, strategy="ddp", callbacks=[SyncRunningStatistics()])
    """

    def __init__(self) -> None:
        self._before = torch.empty(0)
        self._counts = True

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Mapping[str, Any], batch_idx: int
    ) -> None:
        """Store the statistics before the batch; a batch with an empty name is padding and is not counted."""
        if trainer.world_size > 1:
            self._before = _joined(_moving_norms(pl_module))
            self._counts = all(batch.get("name", [True]))

    def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Merge the changes of this round of batches, before another callback averages weights and statistics."""
        norms = _moving_norms(pl_module)
        if trainer.world_size == 1 or not norms:
            return
        # `kept` is at least 0.01, since the next line divides by its power, and it would be 0 for a momentum of 1.
        kept = torch.cat([torch.full_like(each, max(1 - (norm.momentum or 0.0), 0.01)) for norm, each in _pairs(norms)])
        share = (_joined(norms) - kept * self._before) / kept**trainer.global_rank
        packed = torch.cat([share, share.new_ones(1)]) * self._counts
        total: Tensor = trainer.strategy.reduce(packed, reduce_op="sum")
        batches = total[-1]
        _write(norms, kept**batches * self._before + kept ** (batches - 1) * total[:-1])

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Average the statistics that each process has recomputed from its own samples."""
        norms = _tracking_norms(pl_module)
        if trainer.world_size > 1 and norms:
            _write(norms, trainer.strategy.reduce(_joined(norms), reduce_op="mean"))


def _tracking_norms(module: nn.Module) -> list[BatchNorm]:
    """BatchNorm layers with running statistics."""
    return [norm for norm in batch_norms(module) if norm.running_mean is not None]


def _moving_norms(module: nn.Module) -> list[BatchNorm]:
    """BatchNorm layers whose running statistics change in a training step."""
    return [norm for norm in _tracking_norms(module) if norm.training]


def _pairs(norms: Sequence[BatchNorm]) -> list[tuple[BatchNorm, Tensor]]:
    """Pairs of a norm and its running mean or variance, in float64."""
    buffers = ((norm, buffer) for norm in norms for buffer in (norm.running_mean, norm.running_var))
    return [(norm, buffer.double()) for norm, buffer in buffers if buffer is not None]


def _joined(norms: Sequence[BatchNorm]) -> Tensor:
    return torch.cat([buffer for _, buffer in _pairs(norms)]) if norms else torch.empty(0)


def _write(norms: Sequence[BatchNorm], values: Tensor) -> None:
    buffers = [buffer for norm in norms for buffer in (norm.running_mean, norm.running_var) if buffer is not None]
    for buffer, part in zip(buffers, torch.split(values, [len(buffer) for buffer in buffers]), strict=True):
        buffer.copy_(part)
