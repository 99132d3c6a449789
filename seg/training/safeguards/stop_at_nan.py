"""Stop a training whose loss is no number any more, and keep the batch for inspection."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from seg.errors import TrainingError

NAN_BATCH = "nan_batch"
"""Folder of the kept batches in the folder of the run."""

_LARGE = 1e6
"""No reflectance, digital number or temperature is stored as so large a number; some values for "no data" are."""


class StopAtNan(L.Callback):
    """Stop at the first loss that is NaN or infinite, before the optimiser takes a step with it.

    The batch is kept as `<run>/nan_batch/epoch_E_step_S.npz`: image, mask and names, to be read with `numpy.load`. The
    weights are still those of the last step, so that `last.ckpt`, of the last epoch, can be gone on with.

    A GPU is not made to wait: whether the loss is finite is copied to the host behind the forward pass, and read when
    the backward pass is in the queue, which the GPU works on meanwhile.

    Raises:
        TrainingError: A loss is not finite; names the samples, and what to try.

    Example:
        Trainer(callbacks=[StopAtNan()])
    """

    def __init__(self) -> None:
        self._batch: Mapping[str, Any] = {}
        self._names: list[str] = []
        self._last_step: list[str] = []
        self._finite: Tensor | None = None
        self._copied: torch.cuda.Event | None = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Mapping[str, Any], batch_idx: int
    ) -> None:
        """Remember the batch, and the names of those that make a step with it."""
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._last_step, self._names = self._names, []
        self._batch = batch
        self._names += _names(batch)

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        """Ask whether the loss is finite, without waiting for the answer."""
        self._finite = torch.isfinite(loss.detach()).to("cpu", non_blocking=True)
        if loss.is_cuda:
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()

    def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Read the answer."""
        if self._copied is not None:
            self._copied.synchronize()
        if self._finite is None or bool(self._finite):
            return
        path = Path(trainer.default_root_dir) / NAN_BATCH / _file_name(trainer)
        image = self._batch["image"].detach().float().cpu()
        save_batch(path, image, self._batch["mask"].cpu(), _names(self._batch))
        raise TrainingError(
            f"epoch {trainer.current_epoch + 1}, step {trainer.global_step + 1}: the loss of "
            f"{', '.join(_names(self._batch)) or 'a batch'} is no finite number; the batch is kept in {path}; "
            f"{self._advice(trainer, pl_module, image)}"
        )

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Let go of the batch."""
        self._batch = {}

    def _advice(self, trainer: L.Trainer, pl_module: L.LightningModule, image: Tensor) -> str:
        """What to try, by what can be told from the batch and the weights."""
        if not _all_finite(pl_module.parameters()):
            return (
                f"the weights were no numbers before, since the step with {', '.join(self._last_step) or 'others'}; "
                "try a lower --model.optimizer.learning_rate or --trainer.gradient_clip_val=1"
            )
        if not float(image.abs().max()) < _LARGE:
            return (
                f"its pixels reach from {float(image.min()):g} to {float(image.max()):g}; if that is no data, name the "
                "value with --data.nodata"
            )
        if trainer.precision == "16-mixed":
            return "try --trainer.precision=bf16-mixed or 32: numbers above 65504 do not fit into 16-mixed"
        return "try a lower --model.optimizer.learning_rate, more --warmup.steps or --trainer.gradient_clip_val=1"


def save_batch(path: Path, image: Tensor, mask: Tensor, names: list[str]) -> None:
    """Keep a batch as arrays `image` (B, C, H, W), `mask` (B, H, W) and `name` (B,), compressed.

    Args:
        path: The file to write, .npz; its folder is made.
        image: In stored units.
        mask: Labels.
        names: Of the samples.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, image=image.numpy(), mask=mask.numpy(), name=np.array(names, dtype=np.str_))


def _names(batch: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in batch.get("name", ())]


def _file_name(trainer: L.Trainer) -> str:
    process = f"_process_{trainer.global_rank}" if trainer.world_size > 1 else ""
    return f"epoch_{trainer.current_epoch + 1}_step_{trainer.global_step + 1}{process}.npz"


def _all_finite(parameters: Iterable[Tensor]) -> bool:
    return all(bool(torch.isfinite(parameter).all()) for parameter in parameters)
