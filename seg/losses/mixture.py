"""The training loss: a weighted sum of terms over labelled pixels."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import BINARY_MODE, DiceLoss, LovaszLoss, TverskyLoss
from torch import Tensor, nn

from seg.labels import CROPLAND, IGNORE
from seg.losses.config import TERMS, LossConfig, check_loss
from seg.losses.edges import boundary_mask, edge_weights

Term = Callable[[Tensor, Tensor], Tensor]
"""Function of (B, 1, H, W) float32 logits and int64 labels that returns a scalar."""


class CroplandLoss(nn.Module):
    """Weighted sum of terms over labelled pixels.

    Args:
        config: Weights and parameters of the terms.

    Attributes:
        weights: Weight of each term by name. Weights may change between two batches; a term with weight 0 is not
            computed. A task may add weights of terms that it computes itself. Warm-ups raise these added weights too,
            but this loss ignores them.
        terms: Terms of the last batch by name, unweighted and without gradients; the entry `boundary` is the boundary
            head's loss before `LossConfig.boundary` multiplies it.

    Raises:
        ConfigError: A weight or a parameter is out of range, or all weights are 0.
    """

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        check_loss(config)
        self.config = config
        self.weights: dict[str, float] = {name: getattr(config, name) for name in TERMS}
        self.terms: dict[str, Tensor] = {}
        self._losses = loss_terms(config)

    def forward(self, logits: Tensor, mask: Tensor, boundary: Tensor | None = None) -> Tensor:
        """Compute the loss of a batch in float32; the loss and its gradients are 0 if no pixel is labelled.

        Args:
            logits: (B, 1, H, W) logits of cropland, any float type.
            mask: (B, H, W) uint8 labels.
            boundary: (B, 1, H, W) logits of edges, if the network has a boundary head.
        """
        with torch.autocast(logits.device.type, enabled=False):
            loss, self.terms = self._mixture(logits.float(), mask)
            if boundary is not None:
                edges, _ = self._mixture(boundary.float(), boundary_mask(mask, self.config.boundary_width))
                self.terms["boundary"] = edges.detach()
                loss = loss + self.config.boundary * edges
        return loss

    def _mixture(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the terms, and the terms by name."""
        labels = mask[:, None].long()
        wanted = [name for name, weight in self.weights.items() if weight and name in self._losses]
        terms = {name: self._losses[name](logits, labels) for name in wanted}
        if not terms:  # A warm-up may set all weights to 0 for some epochs.
            return 0.0 * logits.sum(), {}
        loss = torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()
        return loss, {name: value.detach() for name, value in terms.items()}


def loss_terms(config: LossConfig) -> dict[str, Term]:
    """Terms by name, with the parameters of a configuration.

    Each term treats a batch as one set of pixels. Soft Dice, Tversky and the Lovász hinge come from
    segmentation-models-pytorch (smp). Dice and Tversky multiply ignored pixels by 0 in every sum; the Lovász hinge
    drops them. If no pixel is labelled cropland, Dice and Tversky are 0, and the Lovász hinge is the error of the worst
    pixel. Cross-entropy and focal loss are implemented here, since those of smp treat ignored pixels differently: smp's
    cross-entropy divides by all pixels, including ignored ones, and smp's focal loss is NaN if all pixels are ignored.
    Also, for gamma below 1, the gradient of smp's focal loss is NaN at a pixel with probability 1.
    """
    smp = {"mode": BINARY_MODE, "from_logits": True, "ignore_index": IGNORE}
    return {
        "bce": partial(masked_cross_entropy, pos_weight=config.pos_weight, label_smoothing=config.label_smoothing),
        "dice": DiceLoss(**smp),
        "focal": partial(masked_focal, gamma=config.focal_gamma, alpha=config.focal_alpha),
        "tversky": TverskyLoss(**smp, alpha=config.tversky_alpha, beta=config.tversky_beta),
        "lovasz": LovaszLoss(**smp),
        "boundary_bce": partial(_boundary_cross_entropy, config=config),
    }


def masked_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
    pos_weight: float = 1.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Mean binary cross-entropy over labelled pixels; 0 if there are none.

    Args:
        logits: Logits in float32, any shape.
        labels: Labels, same shape.
        weights: Factor of each pixel's loss, same shape. The weighted sum is divided by the number of labelled pixels,
            not by the sum of weights, so that a pixel's weight does not depend on other pixels.
        pos_weight: Weight of a cropland pixel relative to a pixel of "other".
        label_smoothing: Share of each label that is divided between both classes (Szegedy et al. 2016,
            https://doi.org/10.1109/CVPR.2016.308): the target is 1 - share / 2 for cropland and share / 2 for other.
    """
    target = (labels == CROPLAND).to(logits.dtype)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / 2
    factor = None if pos_weight == 1 else logits.new_full((), pos_weight)
    losses = F.binary_cross_entropy_with_logits(logits, target, weights, reduction="none", pos_weight=factor)
    return valid_mean(losses, labels)


def masked_focal(logits: Tensor, labels: Tensor, gamma: float, alpha: float | None = None) -> Tensor:
    """Mean focal loss over the labelled pixels: -(1 - p)^gamma log p, where p is the probability of the label.

    Args:
        logits: Logits in float32, any shape.
        labels: Labels, same shape.
        gamma: Exponent that reduces the weight of easy pixels.
        alpha: Weight of cropland, 0 to 1; other has the weight 1 - alpha. None gives both the weight 1.
    """
    cropland = labels == CROPLAND
    margin = torch.where(cropland, logits, -logits)
    # 1 - p is computed as exp(-softplus(margin)), so that its powers have a finite gradient even if p rounds to 1.
    losses = torch.exp(-gamma * F.softplus(margin)) * F.softplus(-margin)
    if alpha is not None:
        losses = losses * torch.where(cropland, alpha, 1 - alpha)
    return valid_mean(losses, labels)


def valid_mean(losses: Tensor, labels: Tensor) -> Tensor:
    """Mean over labelled pixels; 0 if there are none.

    Args:
        losses: Loss of each pixel; finite even where a pixel is ignored.
        labels: Labels, same shape.
    """
    valid = labels != IGNORE
    return torch.where(valid, losses, 0.0).sum() / valid.sum().clamp(min=1)


def _boundary_cross_entropy(logits: Tensor, labels: Tensor, config: LossConfig) -> Tensor:
    weights = edge_weights(labels[:, 0], config.edge_weight, config.edge_sigma)[:, None]
    return masked_cross_entropy(logits, labels, weights, config.pos_weight, config.label_smoothing)
