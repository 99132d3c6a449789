"""Stop a training at a loss that is NaN or infinite, and keep the batch for inspection."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from seg.errors import TrainingError, WriteError
from seg.files import writing

NAN_BATCH = "nan_batch"
"""Folder in the run's folder for batches whose loss is not finite."""

_LARGE = 1e6
"""Magnitude from which a value is probably a nodata value. Reflectances, digital numbers and temperatures are
smaller."""


class StopAtNan(L.Callback):
    """Stop at the first loss that is NaN or infinite, before the optimiser steps.

    The batch is saved as `<run>/nan_batch/epoch_E_step_S.npz` with image, mask and names, for `numpy.load`. The
    training can resume from `last.ckpt`.

    The check does not make a GPU wait: its result is copied to the host asynchronously and read after the backward pass
    has been queued.

    Raises:
        TrainingError: A loss is not finite; the message names the samples and a remedy.

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
        """Store the batch, and the names of all samples in the optimiser step."""
        if batch_idx % trainer.accumulate_grad_batches == 0:
            self._last_step, self._names = self._names, []
        self._batch = batch
        self._names += _names(batch)

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        """Start the check of the loss."""
        self._finite = torch.isfinite(loss.detach()).to("cpu", non_blocking=True)
        if loss.is_cuda:
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()

    def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Read the result of the check, and stop if the loss is not finite."""
        if self._copied is not None:
            self._copied.synchronize()
        if self._finite is None or bool(self._finite):
            return
        path = Path(trainer.default_root_dir) / NAN_BATCH / _file_name(trainer)
        image = self._batch["image"].detach().float().cpu()
        further = {name: self._batch[name].cpu() for name in ("clean", "strong", "source") if name in self._batch}
        kept = f"the batch is saved in {path}"
        try:
            save_batch(path, image, self._batch["mask"].cpu(), _names(self._batch), further)
        except WriteError as error:
            kept = f"the batch is not saved ({error})"
        raise TrainingError(
            f"epoch {trainer.current_epoch + 1}, step {trainer.global_step + 1}: the loss of "
            f"{', '.join(_names(self._batch)) or 'a batch'} is not finite; {kept}; "
            f"{self._advice(trainer, pl_module, image)}"
        )

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Release the batch."""
        self._batch = {}

    def _advice(self, trainer: L.Trainer, pl_module: L.LightningModule, image: Tensor) -> str:
        """Advice for the user, based on the batch and the weights."""
        if not _all_finite(pl_module.parameters()):
            return (
                f"the weights have not been finite since the step with {', '.join(self._last_step) or 'unknown'}; "
                "try a lower --model.optimizer.learning_rate or --trainer.gradient_clip_val=1"
            )
        if not float(image.abs().max()) < _LARGE:
            return (
                f"the pixels of the batch range from {float(image.min()):g} to {float(image.max()):g}; "
                "if one of these values means no data, set it with --data.nodata"
            )
        if trainer.precision == "16-mixed":
            return "try --trainer.precision=bf16-mixed or 32, since 16-mixed overflows above 65504"
        return "try a lower --model.optimizer.learning_rate, more --warmup.steps or --trainer.gradient_clip_val=1"


def save_batch(
    path: Path, image: Tensor, mask: Tensor, names: list[str], further: Mapping[str, Tensor] = MappingProxyType({})
) -> None:
    """Write a batch as compressed arrays `image` (B, C, H, W), `mask` (B, H, W) and `name` (B,).

    Args:
        path: The .npz file to write; its folder is created.
        image: Images in stored units.
        mask: Labels.
        names: Names of the samples.
        further: Views of unlabelled samples, by their names in the batch.

    Raises:
        WriteError: The file cannot be written.
    """
    arrays = {name: value.numpy() for name, value in {"image": image, "mask": mask, **further}.items()}
    arrays["name"] = np.array(names, dtype=np.str_)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]  # none of them is allow_pickle


def _names(batch: Mapping[str, Any]) -> list[str]:
    return [str(name) for key in ("name", "unlabelled") for name in batch.get(key, ())]


def _file_name(trainer: L.Trainer) -> str:
    process = f"_process_{trainer.global_rank}" if trainer.world_size > 1 else ""
    return f"epoch_{trainer.current_epoch + 1}_step_{trainer.global_step + 1}{process}.npz"


def _all_finite(parameters: Iterable[Tensor]) -> bool:
    return all(bool(torch.isfinite(parameter).all()) for parameter in parameters)
