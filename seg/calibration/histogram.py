"""Logits of labelled pixels, counted: all that calibration needs of a validation, whatever its size."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric

from seg.labels import CROPLAND, IGNORE

LIMIT = 20.0
"""Logits are counted from -LIMIT to LIMIT, those beyond in the outermost bins: their probability is 0 or 1 to 2e-9."""
BINS = 4000
PARTS = 5
"""Parts of a validation: enough that what is fitted on all but one is much like what is fitted on all."""

Counts = npt.NDArray[np.int64]
"""(2, BINS) pixels by label, other before cropland, and by bin of the logit."""
Values = npt.NDArray[np.float64]

EDGES: Values = np.linspace(-LIMIT, LIMIT, BINS + 1)
CENTRES: Values = (EDGES[1:] + EDGES[:-1]) / 2


class LogitHistogram(Metric):
    """Counts of the pixels of a validation by part, label and logit: (PARTS, 2, BINS) int64, of one size for any data.

    Samples go to the parts by turns, so that what is fitted on some parts can be scored on another.
    A pixel without a label, or whose logit is NaN, does not count.

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
            logits: (B, 1, H, W) of cropland, any float type.
            mask: (B, H, W) uint8 labels.
            turn: Part of the first sample, taken modulo PARTS; the number of the batch does.
        """
        logits = logits[:, 0].detach().float()
        part = (torch.arange(len(mask), device=mask.device) + turn) % PARTS
        row = part[:, None, None] * 2 + (mask == CROPLAND)
        scaled = (logits.clamp(-LIMIT, LIMIT) + LIMIT) * (BINS / (2 * LIMIT))
        # Cut off again after the addition, which can round up to the bin after the last.
        index = row * BINS + scaled.nan_to_num().long().clamp_(0, BINS - 1)
        counted = (mask != IGNORE) & ~logits.isnan()
        # One bin more for what does not count costs less than selecting the rest.
        rows = PARTS * 2 * BINS
        found = torch.bincount(index.masked_fill_(~counted, rows).flatten(), minlength=rows + 1)
        self.counts += found[:rows].view_as(self.counts)

    def compute(self) -> Tensor:
        """The (PARTS, 2, BINS) counts by part, label and bin."""
        return self.counts
