"""Losses over valid pixels, in float32 whatever the precision of training."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import BINARY_MODE, DiceLoss
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The mixture of losses.

    Args:
        bce: Weight of binary cross-entropy.
        dice: Weight of soft Dice.
    """

    bce: float = 1.0
    dice: float = 1.0


class CroplandLoss(nn.Module):
    """Binary cross-entropy plus soft Dice, both over the pixels whose label is not ignore.

    Soft Dice is smp's: it leaves ignored pixels out of both sums. smp's cross-entropy divides by all pixels, ignored
    ones too, so it is not used.

    Args:
        config: The weights.

    Raises:
        ConfigError: A weight is negative, or all are 0.
    """

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        if not (config.bce >= 0 and config.dice >= 0 and config.bce + config.dice > 0):
            raise ConfigError(
                f"loss weights are bce={config.bce}, dice={config.dice}; wanted none below 0, one above 0"
            )
        self.config = config
        self.dice = DiceLoss(BINARY_MODE, from_logits=True, ignore_index=IGNORE)

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """The loss of a batch, 0 with gradients of 0 where every label is ignore.

        Args:
            logits: (B, 1, H, W), any float type.
            mask: (B, H, W) uint8 labels.
        """
        logits, labels = logits.float(), mask[:, None].long()
        bce = masked_cross_entropy(logits, labels)
        dice: Tensor = self.dice(logits, labels)
        return self.config.bce * bce + self.config.dice * dice


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
