"""Histogram of the logits of labelled pixels, from which calibration is computed."""

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from seg.calibration.curves import Values
from seg.labels import CROPLAND, IGNORE

LIMIT = 20.0
"""Bins span -LIMIT to LIMIT. Logits outside this range count in the outermost bins, where the probability differs from
0 or 1 by at most 2e-9."""
BINS = 4000
PARTS = 5
"""Number of parts into which cross-validation divides the samples of a validation. Each fit then uses four fifths of
the samples, so its result is close to the result for all samples."""

EDGES: Values = np.linspace(-LIMIT, LIMIT, BINS + 1)
CENTRES: Values = (EDGES[1:] + EDGES[:-1]) / 2


class LogitHistogram(Metric):
    """Pixel counts of a validation for each part, label and bin of the logit: (PARTS, 2, BINS) int64.

    Samples are assigned to the parts in turn, so that a fit to some parts can be scored on another part. Pixels without
    a label and NaN logits are not counted.

    Example:
        histogram.update(logits, mask, batch_idx)
        first, *others = histogram.compute().cpu().numpy()
    """

    full_state_update = False
    is_differentiable = False
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(PARTS, 2, BINS, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, mask: Tensor, turn: int = 0) -> None:
        """Count a batch.

        Args:
            logits: (B, 1, H, W) logits of cropland, any float type.
            mask: (B, H, W) uint8 labels.
            turn: Part of the first sample, modulo PARTS; usually the batch number. The following samples belong to the
                following parts.
        """
        logits = logits[:, 0].detach().float()
        part = (torch.arange(len(mask), device=mask.device) + turn) % PARTS
        row = part[:, None, None] * 2 + (mask == CROPLAND)
        scaled = (logits.clamp(-LIMIT, LIMIT) + LIMIT) * (BINS / (2 * LIMIT))
        # The index is clamped too, because the addition can round up to an index after the last bin.
        index = row * BINS + scaled.nan_to_num().long().clamp_(0, BINS - 1)
        counted = (mask != IGNORE) & ~logits.isnan()
        # Counting unlabelled pixels in an extra bin is faster than selecting the labelled pixels.
        rows = PARTS * 2 * BINS
        found = torch.bincount(index.masked_fill_(~counted, rows).flatten(), minlength=rows + 1)
        self.counts += found[:rows].view_as(self.counts)

    def compute(self) -> Tensor:
        """(PARTS, 2, BINS) counts by part, label and bin."""
        return self.counts
