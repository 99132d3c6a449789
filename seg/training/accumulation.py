"""One gradient of a group of batches, each counting for what it holds."""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from seg.labels import IGNORE

Accumulation = Literal["area", "scene"]

REFERENCE_PIXELS = 256 * 256
"""What counts as a weight of 1 by area: keeps weighted losses within what float16 gradients can hold."""


def batch_weight(mask: Tensor, by: Accumulation) -> Tensor:
    """How much a batch counts, a float32 number on the mask's device; 0 where every label is ignored.

    Args:
        mask: (B, H, W) uint8 labels.
        by: By "area", its labelled pixels over the reference; by "scene", its images with a labelled pixel.
    """
    labelled = mask != IGNORE
    if by == "scene":
        return labelled.flatten(1).any(dim=1).sum().float()
    return labelled.sum().float() / REFERENCE_PIXELS


class GroupScaling:
    """Makes the gradient of a group of batches the weighted mean of theirs, however many the group has.

    Lightning divides each batch's loss by the length that a group should have, so that scenes of any size count the
    same and the last group of an epoch, if it is shorter, gets too small a gradient. Here each loss is multiplied with
    its weight and that length, and before the optimiser's step the gradient is divided by the sum of the weights. By
    area, the gradient of a mean over pixels, as cross-entropy is, is that of all pixels of the group taken together.

    Args:
        by: What a batch counts for.
    """

    def __init__(self, by: Accumulation) -> None:
        self.by = by
        self._total: Tensor | None = None

    def begin(self) -> None:
        """Start a group: forget what an earlier one that broke off has left."""
        self._total = None

    def weighted(self, loss: Tensor, mask: Tensor, length: int) -> Tensor:
        """The loss to hand to Lightning, and its weight noted.

        Args:
            loss: A mean over the batch.
            mask: (B, H, W) uint8 labels of the batch.
            length: What Lightning divides the loss by.
        """
        weight = batch_weight(mask, self.by)
        self._total = weight if self._total is None else self._total + weight
        return loss * (weight * length)

    @torch.no_grad()
    def finish(self, parameters: Iterable[nn.Parameter], mean: Callable[[Tensor], Tensor]) -> None:
        """Divide the gradients by the weights of the group; a group without a labelled pixel keeps its zeros.

        Args:
            parameters: Whose gradients hold the sum over the group, averaged over processes.
            mean: Gives the mean of a number over all processes, each of which calls it.
        """
        if self._total is None:
            return
        total, self._total = mean(self._total), None
        divisor = torch.where(total > 0, total, 1.0)
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(divisor)
