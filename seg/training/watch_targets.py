"""Warning if a teacher's targets collapse to one class, and a limit on the weight of the unlabelled loss."""

import sys
from typing import Any

import lightning as L
import torch
from torch import Tensor

from seg.errors import ConfigError
from seg.labels import CROPLAND, LABEL_NAMES, OTHER
from seg.training.tasks.student import UNLABELLED, StudentTask

LEAST_RATIO = 0.1
"""A class has vanished if its share of the kept pixels is below this factor times its share of the labels."""


class WatchTargets(L.Callback):
    """Compare the class shares of a teacher's targets with the class shares of the labels, at intervals of batches.

    Only kept pixels count: pixels for which the teacher is confident. If a student learns mostly one class from an
    averaged teacher, the average then predicts this class even more often. If a class has nearly vanished from the
    targets, this callback prints a line on standard error. Until the class is back, no warm-up can raise the weight of
    the unlabelled loss.

    Args:
        every: Number of batches over which pixels are counted before each comparison.

    Raises:
        ConfigError: The interval is below 1.

    Attributes:
        vanished: Label of the class that has vanished; None if both classes are present.

    Example:
        Trainer(callbacks=[WarmupLoss(epochs=5), WatchTargets()])
    """

    def __init__(self, every: int = 50) -> None:
        if every < 1:
            raise ConfigError(f"every is {every}; wanted 1 batch or more for each comparison of the targets")
        self.every = every
        self.vanished: int | None = None
        self._held: float | None = None
        self._sums: Tensor | None = None
        self._batches = 0

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        """Keep the weight of the unlabelled loss from rising; list this callback after the warm-ups."""
        if self._held is not None and isinstance(pl_module, StudentTask):
            weights = pl_module.loss.weights
            weights[UNLABELLED] = min(weights[UNLABELLED], self._held)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Count the pixels of the batch, and compare the shares at the end of an interval."""
        if not isinstance(pl_module, StudentTask) or pl_module.kept is None:
            return
        counts = torch.stack(tuple(pl_module.kept)).double()
        self._sums = counts if self._sums is None else self._sums.to(counts.device) + counts
        self._batches += 1
        if self._batches < self.every:
            return
        sums: Tensor = trainer.strategy.reduce(self._sums, reduce_op="sum")
        self._sums, self._batches = None, 0
        self._look(trainer, pl_module, sums.tolist())

    def state_dict(self) -> dict[str, Any]:
        """Counts since the last comparison and its result, as plain values."""
        sums = None if self._sums is None else self._sums.tolist()
        return {"vanished": self.vanished, "held": self._held, "sums": sums, "batches": self._batches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore counts and result."""
        sums = state_dict["sums"]
        self._sums = None if sums is None else torch.tensor(sums, dtype=torch.float64)
        self.vanished, self._held = state_dict["vanished"], state_dict["held"]
        self._batches = state_dict["batches"]

    def _look(self, trainer: L.Trainer, task: StudentTask, sums: list[float]) -> None:
        cropland, other, _, labelled_cropland, labelled = sums
        kept = cropland + other
        if not kept or not labelled:
            return
        before, self.vanished = self.vanished, None
        for label, share, wanted in (
            (CROPLAND, cropland / kept, labelled_cropland / labelled),
            (OTHER, other / kept, 1 - labelled_cropland / labelled),
        ):
            if share < LEAST_RATIO * wanted:
                self.vanished = label
                if before is None and trainer.is_global_zero:
                    self._say(trainer, label, share, wanted)
        if self.vanished is None:
            self._held = None
        elif before is None:
            self._held = task.loss.weights[UNLABELLED]

    def _say(self, trainer: L.Trainer, label: int, share: float, wanted: float) -> None:
        print(
            f"note: epoch {trainer.current_epoch + 1}, step {trainer.global_step}: only {share:.2%} of the kept "
            f"targets are {LABEL_NAMES[label]}, but {wanted:.1%} of the labels; the weight of the unlabelled loss "
            "stays as it is; if the class stays rare, lower model.targets.weight or lengthen warmup_loss",
            file=sys.stderr,
            flush=True,
        )
