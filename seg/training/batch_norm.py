"""Let the weights adapt to the statistics that evaluation uses."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from seg.errors import ConfigError


class FreezeBatchNorm(L.Callback):
    """From a share of the epochs on, train with BatchNorm's running statistics instead of each batch's own.

    With one chip a batch, training normalises a chip by itself, which takes away how bright it is among the others;
    evaluation normalises by the running statistics. Without a phase in which both do the same, the scores jump from
    epoch to epoch. Scale and shift of the norms go on training. The position follows the trainer's epoch, so a resumed
    run goes on where it was.

    Args:
        after: Share of the epochs, 0 to 1, before the statistics are frozen; 1 never freezes them.

    Raises:
        ConfigError: The share is out of range, or the trainer has no number of epochs to take it of.

    Example:
        Trainer(max_epochs=60, callbacks=[FreezeBatchNorm(after=0.5)])
    """

    def __init__(self, after: float = 1.0) -> None:
        if not 0 <= after <= 1:
            raise ConfigError(f"batch norm is frozen after={after}; wanted a share of the epochs, 0 to 1")
        self.after = after

    def frozen(self, epoch: int, epochs: int) -> bool:
        """Whether an epoch, counted from 0, trains with running statistics."""
        return self.after < 1 and epoch >= self.after * epochs

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the norms' mode also where a run goes on in the middle of an epoch."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the norms' mode; validation puts back what it finds, so once an epoch is enough."""
        if self.after == 1:
            return
        if trainer.max_epochs is None or trainer.max_epochs < 1:
            raise ConfigError(
                f"batch norm is to be frozen after {self.after} of the epochs, but trainer.max_epochs is "
                f"{trainer.max_epochs}; set it, or set batch_norm.after to 1"
            )
        if self.frozen(trainer.current_epoch, trainer.max_epochs):
            _use_running_statistics(pl_module)


def _use_running_statistics(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


class BatchNormMomentum(L.Callback):
    """Scale the momentum of BatchNorm to the accumulation length.

    With gradients accumulated over N batches, the running statistics move N times for each step of the optimiser. With
    a momentum of 1 - (1 - m)^(1/N) a batch, they take over a share of m a step, as with one batch of N images. Where N
    grows during the run, the momentum follows from the next batch on.

    Args:
        momentum: Share of the running statistics that a whole step replaces, above 0 and at most 1.

    Raises:
        ConfigError: The share is out of range.

    Example:
        Trainer(accumulate_grad_batches=8, callbacks=[BatchNormMomentum()])
    """

    def __init__(self, momentum: float = 0.1) -> None:
        if not 0 < momentum <= 1:
            raise ConfigError(f"batch norm momentum is {momentum}; wanted above 0 and at most 1")
        self.momentum = momentum
        self._length = 0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the momentum of every norm; a resumed run does so again."""
        self._set(pl_module, _batches_of_step(trainer))

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Set it anew if the length has changed."""
        if _batches_of_step(trainer) != self._length:
            self._set(pl_module, _batches_of_step(trainer))

    def _set(self, pl_module: L.LightningModule, length: int) -> None:
        self._length = length
        scaled = 1 - (1 - self.momentum) ** (1 / length)
        for layer in pl_module.modules():
            if isinstance(layer, _BatchNorm):
                layer.momentum = scaled


def _batches_of_step(trainer: L.Trainer) -> int:
    """Those of all processes together."""
    return trainer.accumulate_grad_batches * trainer.world_size


class MergeBatchNorm(L.Callback):
    """Let the running statistics of all processes take up the batches of all; with one process there is nothing to do.

    Each process normalises its batches by their own statistics, as a single one does. But its running statistics have
    seen its own batches alone, and PyTorch would keep those of the first process. Here they become what they would be
    if one process had seen the batches one after another, by one sum over the processes a batch. List it after
    callbacks that compute statistics anew before a validation.

    Example:
        Trainer(devices=2, strategy="ddp", callbacks=[MergeBatchNorm()])
    """

    def __init__(self) -> None:
        self._before = torch.empty(0)
        self._counts = True

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Mapping[str, Any], batch_idx: int
    ) -> None:
        """Keep the statistics, the same in all processes, and whether the batch is more than padding."""
        if trainer.world_size > 1:
            self._before = _joined(training_norms(pl_module))
            self._counts = all(batch.get("name", [True]))

    def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Merge what the batches have changed, before any average over steps takes it up."""
        norms = training_norms(pl_module)
        if trainer.world_size == 1 or not norms:
            return
        # Of a momentum of 1, all that is kept of the statistics before; not 0, as it is divided by.
        kept = torch.cat([torch.full_like(each, max(1 - (norm.momentum or 0.0), 0.01)) for norm, each in _pairs(norms)])
        share = (_joined(norms) - kept * self._before) / kept**trainer.global_rank
        packed = torch.cat([share, share.new_ones(1)]) * self._counts
        total: Tensor = trainer.strategy.reduce(packed, reduce_op="sum")
        batches = total[-1]
        _write(norms, kept**batches * self._before + kept ** (batches - 1) * total[:-1])

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Average what each process computed anew from its own samples; all else is the same in each."""
        norms = running_norms(pl_module)
        if trainer.world_size > 1 and norms:
            _write(norms, trainer.strategy.reduce(_joined(norms), reduce_op="mean"))


def running_norms(module: L.LightningModule) -> list[_BatchNorm]:
    """The norms that have running statistics."""
    norms = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    return [norm for norm in norms if norm.running_mean is not None]


def training_norms(module: L.LightningModule) -> list[_BatchNorm]:
    """Those whose running statistics a batch changes."""
    return [norm for norm in running_norms(module) if norm.training]


def _pairs(norms: Sequence[_BatchNorm]) -> list[tuple[_BatchNorm, Tensor]]:
    """Each norm with its mean, then with its variance, in the precision in which they are merged."""
    buffers = ((norm, buffer) for norm in norms for buffer in (norm.running_mean, norm.running_var))
    return [(norm, buffer.double()) for norm, buffer in buffers if buffer is not None]


def _joined(norms: Sequence[_BatchNorm]) -> Tensor:
    return torch.cat([buffer for _, buffer in _pairs(norms)]) if norms else torch.empty(0)


def _write(norms: Sequence[_BatchNorm], values: Tensor) -> None:
    buffers = [buffer for norm in norms for buffer in (norm.running_mean, norm.running_var) if buffer is not None]
    for buffer, part in zip(buffers, torch.split(values, [len(buffer) for buffer in buffers]), strict=True):
        buffer.copy_(part)


class RecomputeBatchNorm(L.Callback):
    """Before the last validation, replace running statistics by those of the whole training split.

    Running statistics lag behind the weights and depend most on the last few scenes. These are the means over every
    batch of one pass, which costs about a third of an epoch. The last validation and the last checkpoint have them, so
    validation must run at the end of the last epoch. Beside a callback that averages weights, list this one after it:
    then the statistics are those of the averaged weights.

    Example:
        Trainer(callbacks=[EMAWeightAveraging(decay=0.98), RecomputeBatchNorm()])
    """

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Recompute them if this is a validation of the last epoch."""
        if trainer.state.fn != "fit" or trainer.sanity_checking or not _is_last(trainer):
            return
        datamodule = getattr(trainer, "datamodule", None)
        # A loader of its own: that of training keeps the place where it is.
        loader = datamodule.train_dataloader() if datamodule else trainer.train_dataloader
        images = (batch["image"].to(pl_module.device) for batch in loader or ())
        recompute(pl_module, images)


@torch.no_grad()
def recompute(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Give every BatchNorm of a network the mean statistics of some images; all else stays in its mode, dropout too.

    Args:
        network: In evaluation mode.
        images: (B, C, H, W) each.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
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


def _is_last(trainer: L.Trainer) -> bool:
    epochs, steps = trainer.max_epochs or -1, trainer.max_steps
    last_epoch = 0 < epochs <= trainer.current_epoch + 1
    return trainer.should_stop or last_epoch or 0 < steps <= trainer.global_step
