"""Atomic writing of checkpoints; a failed write does not end the training."""

import io
import sys
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.io import CheckpointIO, TorchCheckpointIO

from seg.errors import WriteError
from seg.files import complete_in_claimed_folder, writing


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's reader and writer of checkpoints, with atomic writes.

    A file gets its final name only after its complete content is on the disk. Lightning would instead move the file
    from the system's temporary folder. If that folder is on another disk, the file is copied. A process that is killed
    during the copy leaves an incomplete file under the final name.

    A full disk does not end a training. The previous checkpoint stays, a line on standard error reports the failure,
    and the next checkpoint is written as usual if there is space again. An error is raised only if this process has not
    written any checkpoint yet.

    Attributes:
        failure: Error of the last write; None if it succeeded.

    Raises:
        WriteError: The first checkpoint cannot be written.

    Example:
        Trainer(plugins=[AtomicCheckpointIO()])
    """

    def __init__(self) -> None:
        super().__init__()
        self.failure: WriteError | None = None
        self._wrote = False

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object | None = None
    ) -> None:
        """Write a checkpoint; remote paths are left to Lightning."""
        if "://" in str(path) or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        # The checkpoint is serialised in memory first, because PyTorch would report a full disk as a failed internal
        # check.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        path = Path(path)
        try:
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            with complete_in_claimed_folder(path) as temporary, temporary.open("wb") as file:
                file.write(content.getbuffer())
        except WriteError as error:
            self.failure = error
            if not self._wrote:
                raise
            print(f"note: {error}; training continues without this checkpoint", file=sys.stderr)
        else:
            self.failure, self._wrote = None, True


def with_atomic_io(plugins: object) -> list[object]:
    """Plugins of a trainer, plus an AtomicCheckpointIO unless another plugin writes checkpoints.

    Args:
        plugins: None, one plugin, or a list of them.
    """
    given = plugins if isinstance(plugins, list) else [] if plugins is None else [plugins]
    return given if any(isinstance(one, CheckpointIO) for one in given) else [*given, AtomicCheckpointIO()]


def write_failure(trainer: L.Trainer) -> WriteError | None:
    """Error of the last checkpoint write; None if it succeeded, or if another plugin writes checkpoints."""
    failure: WriteError | None = getattr(trainer.strategy.checkpoint_io, "failure", None)
    return failure


def remove_leftovers(folder: Path) -> None:
    """Delete the unfinished checkpoints of a killed process."""
    for path in folder.glob(".*.ckpt.*.partial"):
        path.unlink(missing_ok=True)
