"""Gradient accumulation, with batches weighted by their labelled pixels or images."""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from seg.labels import IGNORE

Accumulation = Literal["area", "scene"]

REFERENCE_PIXELS = 256 * 256
"""Number of labelled pixels that gives a batch the weight 1 if weights are by area. This unit keeps weighted losses
within the range of float16."""


def batch_weight(mask: Tensor, by: Accumulation) -> Tensor:
    """Weight of a batch, a float32 scalar on the mask's device; 0 if no pixel is labelled.

    Args:
        mask: (B, H, W) uint8 labels.
        by: "area" divides the number of labelled pixels by REFERENCE_PIXELS; "scene" counts the images that have a
            labelled pixel.
    """
    labelled = mask != IGNORE
    if by == "scene":
        return labelled.flatten(1).any(dim=1).sum().float()
    return labelled.sum().float() / REFERENCE_PIXELS


class GroupScaling:
    """Average the gradients of a group of batches, weighted by labelled pixels or images.

    Lightning only divides the loss of each batch by the group length. Scenes of all sizes then have the same weight,
    and the gradient of a shorter group at the end of an epoch is too small. This class multiplies the loss of each
    batch by the weight of the batch and by the group length. Before the optimiser step, this class divides the gradient
    by the sum of the weights. With `by="area"` and a loss that is a mean over pixels, such as cross-entropy, the
    gradient is then the same as for a single batch with all pixels of the group.

    Args:
        by: Rule for the weight of a batch, as for `batch_weight`.
    """

    def __init__(self, by: Accumulation) -> None:
        self.by = by
        self._total: Tensor | None = None

    def begin(self) -> None:
        """Start a group, and discard the weights of an unfinished group."""
        self._total = None

    def weighted(self, loss: Tensor, mask: Tensor, length: int) -> Tensor:
        """Multiply a batch's loss by its weight, and add the weight to the group's sum.

        Args:
            loss: Mean loss of the batch.
            mask: (B, H, W) uint8 labels of the batch.
            length: Number by which Lightning divides the loss.
        """
        weight = batch_weight(mask, self.by)
        self._total = weight if self._total is None else self._total + weight
        return loss * (weight * length)

    @torch.no_grad()
    def finish(self, parameters: Iterable[nn.Parameter], mean: Callable[[Tensor], Tensor]) -> None:
        """Divide the gradients by the group's sum of weights; if no pixel is labelled, the gradients stay 0.

        Args:
            parameters: Parameters whose gradients hold the sum over the group, averaged over processes.
            mean: Function that averages a number over all processes; every process must call it.
        """
        if self._total is None:
            return
        total, self._total = mean(self._total), None
        divisor = torch.where(total > 0, total, 1.0)
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(divisor)
