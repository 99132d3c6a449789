"""Let dropout draw for a batch what it would draw in any other process or after any interruption."""

import lightning as L
import numpy as np
import torch


class SeedBatches(L.Callback):
    """Seed PyTorch's generators before each training batch, from the run's seed, the epoch and the batch's place in it.

    With several processes, the place is that which the batch would have in a single one; so both drop the same.

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
        """Seed them."""
        place = batch_idx * trainer.world_size + trainer.global_rank
        # A word more than the keys of samples have, so that augmentation and dropout never draw the same numbers.
        words = np.random.SeedSequence([self.seed, trainer.current_epoch, place, 0]).generate_state(1, np.uint64)
        # On the CPU, torch.manual_seed would note its caller's stack too, for a GPU used later: 1 ms a batch.
        on_cpu = trainer.strategy.root_device.type == "cpu"
        (torch.default_generator.manual_seed if on_cpu else torch.manual_seed)(int(words[0]))
