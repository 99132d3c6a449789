"""Functions that read the state of Lightning's Trainer, shared by callbacks."""

import lightning as L
from lightning.pytorch.callbacks import Callback


def is_trial(trainer: L.Trainer) -> bool:
    """True if `fast_dev_run` is set; such a trial must not write files."""
    return bool(getattr(trainer, "fast_dev_run", False))  # not declared by Lightning


def is_last_validation(trainer: L.Trainer) -> bool:
    """True if the current epoch is the last one, or the last step is done."""
    epochs, steps = trainer.max_epochs or -1, trainer.max_steps
    last_epoch = 0 < epochs <= trainer.current_epoch + 1
    return trainer.should_stop or last_epoch or 0 < steps <= trainer.global_step


def ends_epoch(trainer: L.Trainer, batch_idx: int) -> bool:
    """True if a training batch, counted from 0 in its epoch, is the last one of the epoch."""
    return trainer.is_last_batch or batch_idx + 1 >= trainer.num_training_batches


def epochs_passed(trainer: L.Trainer, batch_idx: int) -> float:
    """Epochs from the start of the run to the start of a batch; 2.5 is halfway through the third epoch."""
    batches = trainer.num_training_batches
    return trainer.current_epoch + (min(batch_idx / batches, 1.0) if batches else 0.0)


def callbacks_of(trainer: L.Trainer) -> list[Callback]:
    """Callbacks of a trainer in calling order."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    return callbacks
