"""One set of BatchNorm statistics for all processes of a training."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm


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
