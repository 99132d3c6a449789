"""Losses over valid pixels, in float32 whatever the precision of training."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import BINARY_MODE, DiceLoss
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE, OTHER


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The mixture of losses.

    Args:
        bce: Weight of binary cross-entropy.
        dice: Weight of soft Dice.
        boundary: Weight of the same mixture over the edges of the mask's parcels, for a network with a boundary head.
        boundary_width: Pixels to each side of an edge that belong to it.
    """

    bce: float = 1.0
    dice: float = 1.0
    boundary: float = 0.0
    boundary_width: int = 1


class CroplandLoss(nn.Module):
    """Binary cross-entropy plus soft Dice, both over the pixels whose label is not ignore.

    Soft Dice is smp's: it leaves ignored pixels out of both sums. smp's cross-entropy divides by all pixels, ignored
    ones too, so it is not used.

    Args:
        config: The weights.

    Raises:
        ConfigError: A weight is negative, both of bce and dice are 0, or the width is below 1.
    """

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        if not (config.bce >= 0 and config.dice >= 0 and config.bce + config.dice > 0):
            raise ConfigError(
                f"loss weights are bce={config.bce}, dice={config.dice}; wanted none below 0, one above 0"
            )
        if not config.boundary >= 0 or config.boundary_width < 1:
            raise ConfigError(
                f"loss boundary={config.boundary}, boundary_width={config.boundary_width}; wanted a weight of 0 or "
                "more and a width of at least 1"
            )
        self.config = config
        self.dice = DiceLoss(BINARY_MODE, from_logits=True, ignore_index=IGNORE)

    def forward(self, logits: Tensor, mask: Tensor, boundary: Tensor | None = None) -> Tensor:
        """The loss of a batch, 0 with gradients of 0 where every label is ignore.

        Args:
            logits: (B, 1, H, W) of cropland, any float type.
            mask: (B, H, W) uint8 labels.
            boundary: (B, 1, H, W) logits of the edges of parcels, where the network has them.
        """
        loss = self._mixture(logits, mask)
        if boundary is None:
            return loss
        return loss + self.config.boundary * self._mixture(boundary, boundary_mask(mask, self.config.boundary_width))

    def _mixture(self, logits: Tensor, mask: Tensor) -> Tensor:
        logits, labels = logits.float(), mask[:, None].long()
        bce = masked_cross_entropy(logits, labels)
        dice: Tensor = self.dice(logits, labels)
        return self.config.bce * bce + self.config.dice * dice


def boundary_mask(mask: Tensor, width: int) -> Tensor:
    """The edges between cropland and other, as labels: 1 edge, 0 none, 255 where it cannot be known.

    Args:
        mask: (B, H, W) uint8 labels.
        width: Pixels to each side of an edge that belong to it.

    Returns:
        (B, H, W) uint8. A pixel is on an edge if both classes occur within `width` of it. If only one does, but a
        pixel there has no label, nobody knows; a pixel without a label stays without.
    """
    side = 2 * width + 1
    classes = torch.stack([mask == label for label in (CROPLAND, OTHER, IGNORE)], dim=1).float()
    near = F.max_pool2d(classes, side, stride=1, padding=width) > 0
    edge = near[:, 0] & near[:, 1]
    unknown = (mask == IGNORE) | (near[:, 2] & ~edge)
    return edge.to(torch.uint8).masked_fill(unknown, IGNORE)


def masked_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy over the pixels whose label is not ignore; 0 where there is none.

    Args:
        logits: Float32, any shape.
        labels: Same shape.
    """
    valid = labels != IGNORE
    target = (labels == CROPLAND).to(logits.dtype)
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return torch.where(valid, losses, 0.0).sum() / valid.sum().clamp(min=1)
