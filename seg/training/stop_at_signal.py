"""Stop at Ctrl-C (SIGINT) or SIGTERM, with a checkpoint of the last step."""

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from seg.training.checkpoints.atomic_io import write_failure
from seg.training.checkpoints.saving import LastCheckpoint, last_checkpoint
from seg.training.progress import ends_epoch

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopAtSignal(Checkpoint):
    """At a signal, finish the optimiser step, write the last checkpoint and stop; a second signal stops at once.

    A checkpoint between two steps is exact, since no gradients are accumulated at that moment. A signal during a
    validation takes effect after the validation. If there are several processes, this callback does nothing, since the
    processes would have to agree on a step. The last checkpoint is then from the last finished epoch.

    Lightning calls this callback after all others, because its base class is Checkpoint.

    Attributes:
        saved: True if this callback wrote a checkpoint within an epoch.

    Raises:
        KeyboardInterrupt: The process received a signal.

    Example:
        Trainer(callbacks=[LastCheckpoint(), StopAtSignal()])
    """

    def __init__(self) -> None:
        self.saved = False
        self._asked = False
        self._step = 0
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Listen for signals."""
        if trainer.world_size > 1 or threading.current_thread() is not threading.main_thread():
            return
        self._asked, self._step = False, trainer.global_step
        self._before = {number: signal.signal(number, self._request_stop) for number in SIGNALS}

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop if a signal came after the previous epoch's last step; that epoch's checkpoint is already written."""
        if self._asked:
            raise KeyboardInterrupt

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Stop if a signal came and this batch completed a step; at an epoch's end, wait for the validation."""
        before, self._step = self._step, trainer.global_step
        if not self._asked or self._step == before or ends_epoch(trainer, batch_idx):
            return
        trainer.save_checkpoint(_path(trainer))
        self.saved = write_failure(trainer) is None
        raise KeyboardInterrupt

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the signal handlers."""
        self._restore()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Restore the signal handlers."""
        self._restore()

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        self._restore()
        print("note: stopping after this step; repeat the signal to stop at once", file=sys.stderr, flush=True)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def interrupted_message(trainer: L.Trainer) -> str:
    """Message after an interrupted training, with the option that resumes it."""
    if trainer.state.fn != "fit" or not _path(trainer).exists():
        return "interrupted"
    saved = any(callback.saved for callback in trainer.checkpoint_callbacks if isinstance(callback, StopAtSignal))
    if saved:
        return f"interrupted after step {trainer.global_step}; resume with --ckpt_path=last"
    return "interrupted; resume from the last checkpoint with --ckpt_path=last"


def _path(trainer: L.Trainer) -> Path:
    """Path of the run's last checkpoint."""
    folders = [callback.dirpath for callback in trainer.checkpoint_callbacks if isinstance(callback, LastCheckpoint)]
    return last_checkpoint(folders[0] if folders else None, trainer.default_root_dir)
