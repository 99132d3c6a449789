"""Targets that a teacher gives a student, pixel by pixel, and the loss against them."""

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
"""Smallest probability of a teacher, and one minus the largest: logits of exactly 0 and 1 are infinite, and maps round
to percents."""


@dataclass(frozen=True, kw_only=True)
class TargetConfig:
    """Targets from a teacher's probabilities, and their weight.

    Args:
        kind: hard, cropland where the probability is 0.5 or more, else other; or soft, the probability itself.
        threshold: Pixels count where the larger of the probabilities of cropland and other is at least this, 0.5 to 1;
            0.5 keeps every pixel with data.
        weight: Weight of the loss on unlabelled samples, beside 1 for labelled ones. `warmup_loss` raises it from 0.
        calibrated: Apply the calibration of the last validation to an averaged teacher's logits. It is learnt from the
            labels of the held-out fold, as the choice of the best checkpoint is. Other teachers are calibrated already.
        temperature: Divisor of both logits for soft targets, above 0; the loss is multiplied by its square (Hinton et
            al. 2015, https://arxiv.org/abs/1503.02531).
        share: Share of the soft loss on labelled samples, 0 to 1, for teachers other than the average; the rest is the
            loss against the labels.

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
                f"model.targets.temperature is {self.temperature:g}, but hard targets have none; set "
                "model.targets.kind=soft, or leave the temperature out"
            )


class Targets(NamedTuple):
    """A teacher's word on some pixels, all arrays of one shape.

    Attributes:
        probability: Calibrated probability of cropland, 0 to 1.
        valid: True where the pixel has data and the teacher says something.
        kept: True where the pixel counts in the loss.
    """

    probability: Tensor
    valid: Tensor
    kept: Tensor

    @property
    def labels(self) -> Tensor:
        """Hard targets as labels: OTHER, CROPLAND, and IGNORE where a pixel does not count."""
        labels = (self.probability >= 0.5).to(torch.uint8) * CROPLAND
        return torch.where(self.kept, labels, IGNORE)


def targets_of_views(probability: Tensor, known: Tensor, source: Tensor, threshold: float) -> Targets:
    """Targets of views whose pixels come from one clean image or another.

    Args:
        probability: (B, K, H, W) probability of each clean image.
        known: (B, K, H, W) True where the teacher says something.
        source: (B, V, H, W) place of the clean image of each pixel; IGNORE for a pixel without data.
        threshold: Least probability of the likelier class that counts.

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
    """Cross-entropy against a teacher in float32, summed over the kept pixels and divided by all valid ones.

    So the loss is small while the teacher is sure of little, as in FixMatch (Sohn et al. 2020,
    https://arxiv.org/abs/2001.07685). 0 with gradients of 0 without a kept pixel.

    Args:
        logits: Logits of the student, any float type, in the shape of the targets.
        targets: The teacher's word.
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
    """Numbers of pixels of a batch, as scalars.

    Attributes:
        cropland: Kept pixels whose target is cropland.
        other: Kept pixels whose target is other.
        valid: Pixels of the views with data.
        labelled_cropland: Labelled pixels of cropland.
        labelled: Labelled pixels.
    """

    cropland: Tensor
    other: Tensor
    valid: Tensor
    labelled_cropland: Tensor
    labelled: Tensor


def kept_shares(targets: Targets, mask: Tensor) -> KeptShares:
    """Count the kept pixels of each class, beside the labels of the batch.

    Args:
        targets: The teacher's word on the unlabelled samples.
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
