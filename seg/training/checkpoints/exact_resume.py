"""Let a resumed training go on to the bit where its checkpoint was written."""

import random
from collections.abc import Mapping
from typing import Any, Protocol, cast, runtime_checkable

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loops.progress import _ProcessedTracker

STATE = "exact_resume"
"""Where a checkpoint keeps what this callback adds to it."""


@runtime_checkable
class PlacedLoader(Protocol):
    """A loader that can go on in the middle of an epoch."""

    def state_dict(self) -> dict[str, Any]:
        """The place in the epoch, as plain values."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""


class ExactResume(L.Callback):
    """Put into checkpoints what Lightning leaves out: the place in the epoch's data and the random generators' states.

    Lightning would keep the loader's place too, but reads it only where nothing asked for the length of the run before;
    the schedule of the learning rate does. In a run of several processes all resume with the first one's generators.

    Example:
        Trainer(callbacks=[ExactResume()])
    """

    def __init__(self) -> None:
        self._found: Mapping[str, Any] = {}

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Note place and states, as tensors and plain values."""
        loader = trainer.train_dataloader
        place = loader.state_dict() if isinstance(loader, PlacedLoader) else None
        checkpoint[STATE] = {"loader": place, "random": random_states()}

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember them until training starts; what comes before may draw numbers."""
        self._found = checkpoint.get(STATE, {})

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Go on from there."""
        found, self._found = self._found, {}
        if not found:
            return
        loader = trainer.train_dataloader
        if found["loader"] is not None and isinstance(loader, PlacedLoader):
            loader.load_state_dict(found["loader"])
        restore_random_states(found["random"])
        _begin_epoch(trainer)


def _begin_epoch(trainer: L.Trainer) -> None:
    """Go on with the next epoch after a checkpoint of an epoch's end.

    With trainer.max_steps, Lightning takes every checkpoint for one of the middle of an epoch, and would end that epoch
    a second time.
    """
    loop = trainer.fit_loop
    here, total = (
        cast(_ProcessedTracker, loop.epoch_progress.current),
        cast(_ProcessedTracker, loop.epoch_progress.total),
    )
    if loop.restarting and here.processed == here.ready:
        here.completed, total.completed = here.processed, total.processed
        loop.epoch_loop.restarting = False
        loop.on_iteration_done()


def random_states() -> dict[str, Any]:
    """The states of the global generators of Python, NumPy, PyTorch and the present GPU, if any is in use."""
    name, keys, position, has_normal, normal = np.random.get_state()
    states = {
        "python": random.getstate(),
        "numpy": (str(name), [int(key) for key in keys], int(position), int(has_normal), float(normal)),
        "torch": torch.get_rng_state(),
    }
    return states | {"cuda": torch.cuda.get_rng_state()} if _uses_gpu() else states


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Give the global generators those states again."""
    version, words, normal = states["python"]
    random.setstate((version, tuple(words), normal))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if "cuda" in states and _uses_gpu():
        torch.cuda.set_rng_state(states["cuda"])


def _uses_gpu() -> bool:
    """Whether this process has begun to; asking for a state would begin it."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
