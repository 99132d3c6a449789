"""Write checkpoints whole or not at all, and do without one rather than end a training."""

import io
import sys
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.io import CheckpointIO, TorchCheckpointIO

from seg.files import complete_or_absent


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's reader and writer of checkpoints; a file gets its name only when it is complete and on the disk.

    Lightning's own writes into the system's temporary folder and moves the file from there, which is a copy where that
    is another disk: a process that is killed meanwhile leaves half a file under the final name.

    A disk that is full after days of training does not end it: the checkpoint before is kept, a line on standard error
    says so, and the next one is tried as usual. Only where this process has written none yet, the error is raised.

    Attributes:
        failure: Why the last checkpoint was not written; None if it was.

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
        """Write it; elsewhere than on this machine's disks, Lightning does so its way."""
        if "://" in str(path) or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        # PyTorch says of a full disk only that something was enforced at a line of its own.
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
    """The plugins of a trainer with one that writes checkpoints, unless they have one.

    Args:
        plugins: None, one, or a list of them.
    """
    given = plugins if isinstance(plugins, list) else [] if plugins is None else [plugins]
    return given if any(isinstance(one, CheckpointIO) for one in given) else [*given, AtomicCheckpointIO()]


def write_failure(trainer: L.Trainer) -> OSError | None:
    """Why the last checkpoint was not written; None if it was, or if another plugin writes them."""
    failure: OSError | None = getattr(trainer.strategy.checkpoint_io, "failure", None)
    return failure


def remove_leftovers(folder: Path) -> None:
    """Delete what a killed process left of checkpoints that it was writing."""
    for path in folder.glob(".*.ckpt.*.partial"):
        path.unlink(missing_ok=True)
