"""Pictures of the curves behind the scores of a validation."""

import lightning as L

from seg.calibration.histogram import Counts
from seg.calibration.reliability import reliability_curve
from seg.calibration.thresholds import precision_recall_curve
from seg.tracking.pictures import is_due, publish
from seg.tracking.score_curves import draw_precision_recall, draw_reliability


class ScoreCurves(L.Callback):
    """Draw precision over recall and observed over predicted cropland, from the logits that the task counts.

    They are those of the plain logits, before any calibration. A task that counts none gets no picture.

    Args:
        every_epochs: Epochs from one picture to the next; the last epoch always has them, with 0 it alone.

    Example:
        Trainer(callbacks=[ScoreCurves(every_epochs=5)])
    """

    def __init__(self, every_epochs: int = 20) -> None:
        self.every_epochs = every_epochs

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw both if they are due; at the end of the epoch the task has not added up yet."""
        if not (trainer.is_global_zero and is_due(trainer, self.every_epochs)):
            return
        counts = counted_logits(pl_module)
        if counts is None:
            return
        threshold = float(pl_module.hparams.get("threshold", 0.5))
        epoch = f"epoch {trainer.current_epoch + 1}"
        curve = precision_recall_curve(counts)
        publish(draw_precision_recall(curve, threshold, f"Precision and recall, {epoch}"), "precision_recall", trainer)
        publish(draw_reliability(reliability_curve(counts), f"Reliability, {epoch}"), "reliability", trainer)


def counted_logits(task: L.LightningModule) -> Counts | None:
    """The (2, BINS) pixels by label and bin of the logit that a task counted in its last validation; None if none."""
    parts = getattr(task, "counts", None)
    if parts is None or not parts.any():
        return None
    counts: Counts = parts.sum(axis=0)
    return counts
