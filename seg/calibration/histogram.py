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
HALVES = 2

Counts = npt.NDArray[np.int64]
"""(2, BINS) pixels by label, other before cropland, and by bin of the logit."""
Values = npt.NDArray[np.float64]

EDGES: Values = np.linspace(-LIMIT, LIMIT, BINS + 1)
CENTRES: Values = (EDGES[1:] + EDGES[:-1]) / 2


class LogitHistogram(Metric):
    """Counts of the pixels of a validation by half, label and logit: (2, 2, BINS) int64, of one size for any data.

    The samples of a batch go to the halves by turns, so that what is fitted on one half can be scored on the other.
    A pixel without a label, or whose logit is NaN, does not count.

    Example:
        histogram.update(logits, mask, batch_idx)
        first, second = histogram.compute().cpu().numpy()
    """

    full_state_update = False
    is_differentiable = False
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(HALVES, 2, BINS, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, logits: Tensor, mask: Tensor, turn: int = 0) -> None:
        """Count a batch.

        Args:
            logits: (B, 1, H, W) of cropland, any float type.
            mask: (B, H, W) uint8 labels.
            turn: Half of the first sample, even or odd; the number of the batch does.
        """
        logits = logits[:, 0].detach().float()
        half = (torch.arange(len(mask), device=mask.device) + turn) % HALVES
        row = half[:, None, None] * 2 + (mask == CROPLAND)
        scaled = (logits.clamp(-LIMIT, LIMIT) + LIMIT) * (BINS / (2 * LIMIT))
        # Cut off again after the addition, which can round up to the bin after the last.
        index = row * BINS + scaled.nan_to_num().long().clamp_(0, BINS - 1)
        counted = (mask != IGNORE) & ~logits.isnan()
        # One bin more for what does not count costs less than selecting the rest.
        rows = HALVES * 2 * BINS
        found = torch.bincount(index.masked_fill_(~counted, rows).flatten(), minlength=rows + 1)
        self.counts += found[:rows].view_as(self.counts)

    def compute(self) -> Tensor:
        """The (2, 2, BINS) counts by half, label and bin."""
        return self.counts
