"""Bit-exact resuming: position in the data, and states of the random generators."""

import random
from collections.abc import Mapping
from typing import Any

import lightning as L
import numpy as np
import torch

from seg.data.loading.loader import WatchedLoader

STATE = "exact_resume"
"""Key of this callback's state in a checkpoint."""


class ExactResume(L.Callback):
    """Save the position in the epoch's data and the states of the random generators; Lightning saves neither.

    Lightning restores the loader's position only if no code reads the length of the run before training starts. The
    learning-rate schedule does read this length. If there are several processes, all of them resume with the generator
    states of the first process.

    Example:
        Trainer(callbacks=[ExactResume()])
    """

    def __init__(self) -> None:
        self._found: Mapping[str, Any] = {}

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save position and states, as tensors and plain values."""
        loader = trainer.train_dataloader
        place = loader.state_dict() if isinstance(loader, WatchedLoader) else None
        checkpoint[STATE] = {"loader": place, "random": random_states()}

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep position and states until training starts, since setup code may draw random numbers."""
        self._found = checkpoint.get(STATE, {})

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore position and states."""
        found, self._found = self._found, {}
        if not found:
            return
        loader = trainer.train_dataloader
        if found["loader"] is not None and isinstance(loader, WatchedLoader):
            loader.load_state_dict(found["loader"])
        restore_random_states(found["random"])
        _begin_epoch(trainer)


def _begin_epoch(trainer: L.Trainer) -> None:
    """Begin the next epoch after resuming from a checkpoint that was written at the end of an epoch.

    If trainer.max_steps is set, Lightning assumes that every checkpoint was written within an epoch, so it would end
    the finished epoch again.
    """
    loop = trainer.fit_loop
    # The type is Any, because Lightning declares these trackers without `processed`.
    here: Any = loop.epoch_progress.current
    total: Any = loop.epoch_progress.total
    if loop.restarting and here.processed == here.ready:
        here.completed, total.completed = here.processed, total.processed
        loop.epoch_loop.restarting = False
        loop.on_iteration_done()


class SeedBatches(L.Callback):
    """Seed PyTorch's generators before each training batch from the run's seed, the epoch and the batch index.

    Dropout then draws the same numbers for a batch, even after an interruption. The batch index counts the batches of
    all processes, so dropout does not depend on the number of processes.

    Args:
        seed: Seed of the run.

    Example:
        Trainer(callbacks=[SeedBatches(seed=0)])
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Seed the generators."""
        place = batch_idx * trainer.world_size + trainer.global_rank
        # This seed has one number more than the seeds of samples, so that augmentation and dropout never share a random
        # sequence.
        words = np.random.SeedSequence([self.seed, trainer.current_epoch, place, 0]).generate_state(1, np.uint64)
        # If there is no GPU, torch.manual_seed records the caller's stack for a later start of CUDA, which takes 1 ms
        # per batch.
        on_cpu = trainer.strategy.root_device.type == "cpu"
        (torch.default_generator.manual_seed if on_cpu else torch.manual_seed)(int(words[0]))


def random_states() -> dict[str, Any]:
    """States of the global generators of Python, NumPy, PyTorch and, if in use, the current GPU."""
    name, keys, position, has_normal, normal = np.random.get_state()
    states = {
        "python": random.getstate(),
        "numpy": (str(name), [int(key) for key in keys], int(position), int(has_normal), float(normal)),
        "torch": torch.get_rng_state(),
    }
    return states | {"cuda": torch.cuda.get_rng_state()} if _uses_gpu() else states


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Restore the global generators from the states that `random_states` returned."""
    version, words, normal = states["python"]
    random.setstate((version, tuple(words), normal))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if "cuda" in states and _uses_gpu():
        torch.cuda.set_rng_state(states["cuda"])


def _uses_gpu() -> bool:
    """True if this process has initialised CUDA; reading a GPU generator's state would initialise it."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
