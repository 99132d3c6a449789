"""Metrics of training and validation: scores of the cropland class from summed counts."""

from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex, BinaryPrecision, BinaryRecall

from seg.labels import IGNORE


def binary_metrics(threshold: float = 0.5) -> MetricCollection:
    """IoU, F1, precision and recall of cropland, from counts summed over all that was updated.

    Keys are `iou`, `f1`, `precision` and `recall`; use `.clone(prefix="val/")` for one stage's own counts. A scene that
    is cut into chips scores the same as the whole, and a score without any pixel to count is 0, not NaN.

    Update with probabilities and masks of one shape; a `(B, 1, H, W)` output needs its mask with `unsqueeze(1)`:

    - probabilities: float, 0 to 1. Not logits: torchmetrics applies a sigmoid only when it sees a value outside
      [0, 1], so a chip whose logits all happen to lie inside would be misread. A pixel is cropland above the threshold.
    - mask: uint8 or int64; OTHER, CROPLAND or IGNORE, and pixels at IGNORE do not count.

    Args:
        threshold: Probability above which a pixel counts as cropland, between 0 and 1.
    """
    return MetricCollection(
        {
            "iou": BinaryJaccardIndex(threshold=threshold, ignore_index=IGNORE),
            "f1": BinaryF1Score(threshold=threshold, ignore_index=IGNORE),
            "precision": BinaryPrecision(threshold=threshold, ignore_index=IGNORE),
            "recall": BinaryRecall(threshold=threshold, ignore_index=IGNORE),
        }
    )
