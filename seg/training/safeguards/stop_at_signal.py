"""Stop at Ctrl-C, or when a cluster ends the job, with a checkpoint of that moment."""

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
from seg.training.checkpoints.last import LastCheckpoint
from seg.training.run.folder import last_checkpoint

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopAtSignal(Checkpoint):
    """Finish the optimiser's step, write the last checkpoint and stop; a second signal stops at once.

    Between two steps a checkpoint is exact: no gradient is left half added up. Where the signal comes during a
    validation, the validation and with it the epoch are finished first. In several processes, which would have to agree
    on the step, nothing is done: there the last checkpoint is that of the last epoch.

    It counts as a checkpoint callback, so that Lightning calls it when all others have seen the step.

    Attributes:
        saved: Whether it wrote that checkpoint in the middle of an epoch.

    Raises:
        KeyboardInterrupt: A signal came.

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
        self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop if a signal came after the last step of the epoch before, whose checkpoint was just written."""
        if self._asked:
            raise KeyboardInterrupt

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Stop if a signal came and this batch made a step, unless the epoch ends with it anyway."""
        before, self._step = self._step, trainer.global_step
        ends_epoch = trainer.is_last_batch or batch_idx + 1 >= trainer.num_training_batches
        if not self._asked or self._step == before or ends_epoch:
            return
        trainer.save_checkpoint(_path(trainer))
        self.saved = write_failure(trainer) is None
        raise KeyboardInterrupt

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave signals as they were."""
        self._put_back()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave signals as they were."""
        self._put_back()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        self._put_back()
        print("note: stopping after this step; once more to stop at once", file=sys.stderr, flush=True)

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def interrupted_message(trainer: L.Trainer) -> str:
    """What to tell whoever interrupted a training."""
    if trainer.state.fn != "fit" or not _path(trainer).exists():
        return "interrupted"
    saved = any(callback.saved for callback in trainer.checkpoint_callbacks if isinstance(callback, StopAtSignal))
    if saved:
        return f"interrupted after step {trainer.global_step}; go on with --ckpt_path=last"
    return "interrupted; go on from the last checkpoint before with --ckpt_path=last"


def _path(trainer: L.Trainer) -> Path:
    """The last checkpoint of a run."""
    folders = [callback.dirpath for callback in trainer.checkpoint_callbacks if isinstance(callback, LastCheckpoint)]
    return last_checkpoint(folders[0] if folders else None, trainer.default_root_dir)
