"""Pictures of a validation's precision-recall and reliability curves."""

from typing import TYPE_CHECKING

import lightning as L

from seg.calibration.curves import (
    Counts,
    PrecisionRecallCurve,
    ReliabilityCurve,
    expected_calibration_error,
    precision_recall_curve,
    reliability_curve,
)
from seg.calibration.histogram import CENTRES, EDGES
from seg.calibration.scaling import sigmoid
from seg.raster.pictures.figures import new_figure
from seg.training.pictures.figures import TEXT_COLOUR, is_due, plain_axes, publish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 560
LINE_COLOUR = "#1b6ca8"
MARK_COLOUR = "#e66101"


def draw_precision_recall(curve: PrecisionRecallCurve, threshold: float, title: str) -> "Figure":
    """Draw precision over recall, and mark the point of a threshold.

    Args:
        curve: Curve of the counted logits of a validation.
        threshold: Probability above which a pixel is mapped as cropland.
        title: Title of the figure.
    """
    figure, axes = _square(
        "Recall of cropland (share of cropland that is mapped)", "Precision (share of mapped cropland that is correct)"
    )
    # The point with recall 0 is left out. Its threshold maps no pixel, so its precision is 1 only by definition.
    reached = curve.recall > 0
    axes.plot(curve.recall[reached], curve.precision[reached], color=LINE_COLOUR, linewidth=2, clip_on=False)
    at = min(int((curve.threshold < threshold).sum()), len(curve.threshold) - 1)
    precision, recall = float(curve.precision[at]), float(curve.recall[at])
    label = f"threshold {threshold:g}: precision {precision:.3f}, recall {recall:.3f}"
    axes.plot(recall, precision, "o", color=MARK_COLOUR, markersize=8, clip_on=False, label=label)
    axes.legend(loc="lower left", frameon=False, fontsize=10)
    axes.set_title(title, fontsize=11, color=TEXT_COLOUR)
    return figure


def draw_reliability(curve: ReliabilityCurve, title: str) -> "Figure":
    """Draw the observed share of cropland over the predicted probability, and the share of pixels in each bin as bars.

    Args:
        curve: Curve of the counted logits of a validation.
        title: Title of the figure.
    """
    figure, axes = _square("Predicted probability of cropland", "Observed share of cropland")
    filled = curve.pixels > 0
    axes.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle="--", label="perfectly calibrated")
    label = f"validation, calibration error {expected_calibration_error(curve):.3f}"
    predicted, observed = curve.predicted[filled], curve.observed[filled]
    axes.plot(predicted, observed, "o-", color=LINE_COLOUR, linewidth=2, markersize=5, clip_on=False, label=label)
    shares = curve.pixels / max(int(curve.pixels.sum()), 1)
    width = 1 / len(shares)
    lefts = [place * width for place in range(len(shares))]
    axes.bar(
        lefts, shares, width, align="edge", color="#cfd8dc", edgecolor="white", zorder=0.5, label="share of pixels"
    )
    axes.legend(loc="best", edgecolor="none", framealpha=0.9, fontsize=10)
    axes.set_title(title, fontsize=11, color=TEXT_COLOUR)
    return figure


def _square(x_label: str, y_label: str) -> tuple["Figure", "Axes"]:
    figure = new_figure(SIDE, SIDE)
    axes = figure.add_axes((0.12, 0.11, 0.83, 0.81))
    plain_axes(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_xlabel(x_label, color=TEXT_COLOUR)
    axes.set_ylabel(y_label, color=TEXT_COLOUR)
    return figure, axes


class ScoreCurves(L.Callback):
    """Draw precision-recall and reliability curves of the uncalibrated logits.

    If the task does not count logits, nothing is drawn.

    Args:
        every_epochs: Epochs between two pictures. The last epoch always has pictures; 0 draws only the last epoch.

    Example:
        Trainer(callbacks=[ScoreCurves(every_epochs=5)])
    """

    def __init__(self, every_epochs: int = 20) -> None:
        self.every_epochs = every_epochs

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw both curves if they are due. In earlier hooks, the task's counts are not complete yet."""
        if not (trainer.is_global_zero and is_due(trainer, self.every_epochs)):
            return
        counts = counted_logits(pl_module)
        if counts is None:
            return
        threshold = float(pl_module.hparams.get("threshold", 0.5))
        epoch = f"epoch {trainer.current_epoch + 1}"
        scores, shares = precision_recall_curve(counts, sigmoid(EDGES)), reliability_curve(counts, sigmoid(CENTRES))
        publish(draw_precision_recall(scores, threshold, f"Precision and recall, {epoch}"), "precision_recall", trainer)
        publish(draw_reliability(shares, f"Reliability, {epoch}"), "reliability", trainer)


def counted_logits(task: L.LightningModule) -> Counts | None:
    """Pixels of the last validation by label and logit bin, (2, BINS); None if the task counts no logits."""
    parts = getattr(task, "counts", None)
    if parts is None or not parts.any():
        return None
    counts: Counts = parts.sum(axis=0)
    return counts
