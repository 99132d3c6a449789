"""Write the checkpoint that an interrupted training goes on from."""

import time
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from seg.errors import ConfigError
from seg.training.checkpoints.atomic_io import remove_leftovers, write_failure
from seg.training.run.folder import is_trial, last_checkpoint


class LastCheckpoint(Checkpoint):
    """Write `last.ckpt` after every epoch, and within long ones every so many minutes or steps of the optimiser.

    Within an epoch it is written right after a step, since no checkpoint holds the gradients that are being gathered
    for the next one, and not after the last batch, whose epoch is not over before its validation. Lightning's
    ModelCheckpoint does neither.

    Args:
        dirpath: The folder; null for `checkpoints/` in the run's.
        every_minutes: Minutes after which the next step is kept, above 0; null for none.
        every_steps: Steps of the optimiser from one to the next, counted from the start of the run; null for none.

    Raises:
        ConfigError: A number cannot work.
        OSError: The first checkpoint of a training, or its very last, cannot be written.

    Example:
        Trainer(callbacks=[LastCheckpoint(every_steps=500)])
    """

    def __init__(
        self, *, dirpath: str | None = None, every_minutes: float | None = 30.0, every_steps: int | None = None
    ) -> None:
        if every_minutes is not None and not every_minutes > 0:
            raise ConfigError(f"last_checkpoint.every_minutes is {every_minutes:g}; wanted above 0, or null")
        if every_steps is not None and every_steps < 1:
            raise ConfigError(f"last_checkpoint.every_steps is {every_steps}; wanted 1 or more, or null")
        self.dirpath, self.every_minutes, self.every_steps = dirpath, every_minutes, every_steps
        self._path = Path()
        self._step = 0
        self._written = 0.0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Find the folder, and delete what a killed training left there of a checkpoint."""
        self._path = last_checkpoint(self.dirpath, trainer.default_root_dir)
        if stage == "fit" and trainer.is_global_zero:
            remove_leftovers(self._path.parent)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to count."""
        self._step, self._written = trainer.global_step, time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Write it if this batch ended a step after which one is due."""
        before, self._step = self._step, trainer.global_step
        ends_epoch = trainer.is_last_batch or batch_idx + 1 >= trainer.num_training_batches
        if self._step > before and not ends_epoch and self._is_due(trainer):
            self._write(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write it."""
        self._write(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say so where the end of the training is on no disk."""
        failure = write_failure(trainer)
        if failure is not None:
            reason = f"{failure.strerror}, so the end of the training is lost; make room and repeat it from the "
            raise OSError(failure.errno, reason + "checkpoint before with --ckpt_path=last", failure.filename)

    def _is_due(self, trainer: L.Trainer) -> bool:
        if self.every_steps and trainer.global_step % self.every_steps == 0:
            return True
        if self.every_minutes is None:
            return False
        late = time.monotonic() - self._written >= 60 * self.every_minutes
        return bool(trainer.strategy.broadcast(late))  # clocks differ, but all processes write together

    def _write(self, trainer: L.Trainer) -> None:
        if not is_trial(trainer):
            trainer.save_checkpoint(self._path)
            self._written = time.monotonic()
