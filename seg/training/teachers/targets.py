"""Targets of each pixel from a teacher's probabilities, and the student's loss against these targets."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE

TargetKind = Literal["hard", "soft"]

SMALLEST = 1e-3
"""A teacher's probabilities are clipped to the range from this value to one minus this value. Maps are rounded to
percents, so they contain the probabilities 0 and 1, whose logits are infinite."""


@dataclass(frozen=True, kw_only=True)
class TargetConfig:
    """Settings of the targets from a teacher's probabilities, and of the loss against these targets.

    Args:
        kind: Kind of targets. hard: cropland if the probability is 0.5 or more, otherwise other. soft: the probability
            itself.
        threshold: A pixel is kept if the teacher's probability for cropland or for other is at least this value, 0.5 to
            1. 0.5 keeps every pixel with data.
        weight: Weight of the loss on unlabelled samples; the loss on labelled samples has the weight 1. `warmup_loss`
            raises this weight from 0.
        calibrated: Calibrate an averaged teacher's logits by the calibration of the last validation. This uses labels
            of the held-out fold, as the choice of the best checkpoint does. Other teachers are already calibrated.
        temperature: For soft targets: divisor of the logits of teacher and student, above 0. The loss is multiplied by
            the square of the temperature (Hinton et al. 2015, https://arxiv.org/abs/1503.02531).
        share: For packages and maps: weight of the loss against the teacher's targets on labelled samples, 0 to 1. The
            loss against the labels has the weight 1 - share.

    Raises:
        ConfigError: A value is out of range.
    """

    kind: TargetKind = "hard"
    threshold: float = 0.95
    weight: float = 1.0
    calibrated: bool = True
    temperature: float = 1.0
    share: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        for name, fits, wanted in (
            ("kind", self.kind in get_args(TargetKind), f"one of {', '.join(get_args(TargetKind))}"),
            ("threshold", 0.5 <= self.threshold <= 1, "0.5 to 1"),
            ("weight", 0 <= self.weight < math.inf, "0 or more"),
            ("temperature", 0 < self.temperature < math.inf, "above 0"),
            ("share", 0 <= self.share <= 1, "0 to 1"),
        ):
            if not fits:
                raise ConfigError(f"model.targets.{name} is {getattr(self, name)}; wanted {wanted}")
        if self.kind == "hard" and self.temperature != 1:
            raise ConfigError(
                f"model.targets.temperature is {self.temperature:g}, but hard targets have no temperature; set "
                "model.targets.kind=soft, or leave the temperature out"
            )


class Targets(NamedTuple):
    """Targets of a teacher for some pixels; all arrays have the same shape.

    Attributes:
        probability: Calibrated probability of cropland, 0 to 1.
        valid: True where the pixel has data and the teacher has a probability.
        kept: True where the pixel is used in the loss.
    """

    probability: Tensor
    valid: Tensor
    kept: Tensor

    @property
    def labels(self) -> Tensor:
        """Hard targets as labels: OTHER, CROPLAND, and IGNORE where a pixel is not kept."""
        labels = (self.probability >= 0.5).to(torch.uint8) * CROPLAND
        return torch.where(self.kept, labels, IGNORE)


def targets_of_views(probability: Tensor, known: Tensor, source: Tensor, threshold: float) -> Targets:
    """Targets of views whose pixels come from one or several clean images.

    Args:
        probability: (B, K, H, W) probability of each clean image.
        known: (B, K, H, W) True where the teacher has a probability.
        source: (B, V, H, W) index of the clean image that each pixel comes from; IGNORE for a pixel without data.
        threshold: Smallest probability of the likelier class for which a pixel is kept.

    Returns:
        Targets of (B, V, H, W).
    """
    clean = source.clamp(max=probability.shape[1] - 1).long()
    chosen = probability.gather(1, clean)
    valid = (source != IGNORE) & known.gather(1, clean)
    return Targets(chosen, valid, kept_pixels(chosen, valid, threshold))


def kept_pixels(probability: Tensor, valid: Tensor, threshold: float) -> Tensor:
    """True for valid pixels whose likelier class has at least a probability of `threshold`."""
    return valid & (torch.maximum(probability, 1 - probability) >= threshold)


def target_loss(logits: Tensor, targets: Targets, config: TargetConfig) -> Tensor:
    """Cross-entropy against a teacher in float32, summed over kept pixels and divided by the number of valid pixels.

    The loss is therefore small if the teacher is confident for few pixels, as in FixMatch (Sohn et al. 2020,
    https://arxiv.org/abs/2001.07685). If no pixel is kept, the loss and its gradients are 0.

    Args:
        logits: Logits of the student, any float type, in the shape of the targets.
        targets: The teacher's targets.
        config: Kind of the targets and temperature.
    """
    with torch.autocast(logits.device.type, enabled=False):
        scaled = logits.float() / config.temperature
        if config.kind == "hard":
            wanted = (targets.probability >= 0.5).float()
        else:
            wanted = (torch.logit(targets.probability.float(), SMALLEST) / config.temperature).sigmoid()
        losses = F.binary_cross_entropy_with_logits(scaled, wanted, reduction="none") * config.temperature**2
        return torch.where(targets.kept, losses, 0.0).sum() / targets.valid.sum().clamp(min=1)


class KeptShares(NamedTuple):
    """Pixel counts of a batch, as scalars.

    Attributes:
        cropland: Kept pixels whose target is cropland.
        other: Kept pixels whose target is other.
        valid: Pixels with data in the views.
        labelled_cropland: Labelled pixels of cropland.
        labelled: Labelled pixels.
    """

    cropland: Tensor
    other: Tensor
    valid: Tensor
    labelled_cropland: Tensor
    labelled: Tensor


def kept_shares(targets: Targets, mask: Tensor) -> KeptShares:
    """Count the kept pixels and the labelled pixels of each class in a batch.

    Args:
        targets: The teacher's targets for the unlabelled samples.
        mask: (B, H, W) labels of the labelled samples.
    """
    kept, cropland = targets.kept, targets.probability >= 0.5
    return KeptShares(
        (kept & cropland).sum(),
        (kept & ~cropland).sum(),
        targets.valid.sum(),
        (mask == CROPLAND).sum(),
        (mask != IGNORE).sum(),
    )
