"""Write checkpoints whole or not at all, and go on without one rather than end a training."""

import io
import sys
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.io import CheckpointIO, TorchCheckpointIO

from seg.files import complete_or_absent


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's reader and writer of checkpoints, whose files get their names once they are whole and on the disk.

    Lightning writes into the system's temporary folder and moves the file from there. Where that folder is on another
    disk, moving means copying, and a process killed meanwhile leaves half a file under the final name.

    A disk that fills up after days of training does not end it: the previous checkpoint is kept, a line on standard
    error says so, and the next checkpoint is tried as usual. An error is raised only while this process has written
    none yet.

    Attributes:
        failure: Reason why the last checkpoint was not written; None if it was.

    Raises:
        OSError: The first checkpoint cannot be written.

    Example:
        Trainer(plugins=[AtomicCheckpointIO()])
    """

    def __init__(self) -> None:
        super().__init__()
        self.failure: OSError | None = None
        self._wrote = False

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object | None = None
    ) -> None:
        """Write a checkpoint; other places than this machine's disks are left to Lightning."""
        if "://" in str(path) or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        # Serialised in memory first: of a full disk, PyTorch would only report a failed check in its own code.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with complete_or_absent(path) as temporary, temporary.open("wb") as file:
                file.write(content.getbuffer())
        except OSError as error:
            self.failure = OSError(error.errno, error.strerror or str(error), str(path))
            if not self._wrote:
                raise self.failure from error
            print(f"note: {path}: {self.failure.strerror}; training goes on without this checkpoint", file=sys.stderr)
        else:
            self.failure, self._wrote = None, True


def with_atomic_io(plugins: object) -> list[object]:
    """Plugins of a trainer, with an AtomicCheckpointIO unless they write checkpoints already.

    Args:
        plugins: None, one plugin, or a list of them.
    """
    given = plugins if isinstance(plugins, list) else [] if plugins is None else [plugins]
    return given if any(isinstance(one, CheckpointIO) for one in given) else [*given, AtomicCheckpointIO()]


def write_failure(trainer: L.Trainer) -> OSError | None:
    """Reason why the last checkpoint was not written; None if it was, or if another plugin writes them."""
    failure: OSError | None = getattr(trainer.strategy.checkpoint_io, "failure", None)
    return failure


def remove_leftovers(folder: Path) -> None:
    """Delete the unfinished checkpoints of a killed process."""
    for path in folder.glob(".*.ckpt.*.partial"):
        path.unlink(missing_ok=True)
