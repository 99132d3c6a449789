"""One gradient from several batches, each weighted by its labelled pixels or images."""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from seg.labels import IGNORE

Accumulation = Literal["area", "scene"]

REFERENCE_PIXELS = 256 * 256
"""Labelled pixels that weigh 1 by area; keeps weighted losses within the range of float16 gradients."""


def batch_weight(mask: Tensor, by: Accumulation) -> Tensor:
    """Weight of a batch, a float32 scalar on the mask's device; 0 where every label is ignored.

    Args:
        mask: (B, H, W) uint8 labels.
        by: "area" counts labelled pixels, in units of REFERENCE_PIXELS; "scene" counts images with a labelled pixel.
    """
    labelled = mask != IGNORE
    if by == "scene":
        return labelled.flatten(1).any(dim=1).sum().float()
    return labelled.sum().float() / REFERENCE_PIXELS


class GroupScaling:
    """Turn the gradient of a group of batches into the weighted mean of their gradients.

    Lightning divides each batch's loss by the intended length of a group. Scenes of any size then count the same, and
    the last group of an epoch, which may be shorter, gets too small a gradient. Here each loss is multiplied by its
    weight and by that length, and the gradient is divided by the sum of the weights before the optimiser steps. By
    area, the gradient of a mean over pixels, such as cross-entropy, is that of all pixels of the group together.

    Args:
        by: Unit in which batches are weighted.
    """

    def __init__(self, by: Accumulation) -> None:
        self.by = by
        self._total: Tensor | None = None

    def begin(self) -> None:
        """Start a group; forget the weights of one that broke off."""
        self._total = None

    def weighted(self, loss: Tensor, mask: Tensor, length: int) -> Tensor:
        """Weight the loss of a batch for Lightning, and add its weight to that of the group.

        Args:
            loss: A mean over the batch.
            mask: (B, H, W) uint8 labels of the batch.
            length: Number by which Lightning divides the loss.
        """
        weight = batch_weight(mask, self.by)
        self._total = weight if self._total is None else self._total + weight
        return loss * (weight * length)

    @torch.no_grad()
    def finish(self, parameters: Iterable[nn.Parameter], mean: Callable[[Tensor], Tensor]) -> None:
        """Divide the gradients by the weights of the group; without a labelled pixel they stay 0.

        Args:
            parameters: Their gradients hold the sum over the group, averaged over processes.
            mean: Average of a number over all processes; every process calls it.
        """
        if self._total is None:
            return
        total, self._total = mean(self._total), None
        divisor = torch.where(total > 0, total, 1.0)
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.div_(divisor)
