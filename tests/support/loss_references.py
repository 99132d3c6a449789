"""Reference losses, computed by their formulas in NumPy and float64; and configurations with a single loss."""

import numpy as np
import numpy.typing as npt

from seg.labels import CROPLAND, IGNORE, OTHER
from seg.losses.config import TERMS, LossConfig

Numbers = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint8]

POS_WEIGHT, SMOOTHING, GAMMA, ALPHA, FALSE, MISSED, EDGE, SIGMA = 2.5, 0.2, 1.5, 0.7, 0.2, 0.9, 3.0, 1.2
PARAMETERS = LossConfig(
    pos_weight=POS_WEIGHT, label_smoothing=SMOOTHING, focal_gamma=GAMMA, focal_alpha=ALPHA,
    tversky_alpha=FALSE, tversky_beta=MISSED, edge_weight=EDGE, edge_sigma=SIGMA,
)  # fmt: skip


def only(name: str, **parameters: float) -> LossConfig:
    """Configuration with a single loss."""
    return LossConfig(**(dict.fromkeys(TERMS, 0.0) | {name: 1.0} | parameters))


def only_unusual(name: str) -> LossConfig:
    """Configuration with a single loss, in which all parameters differ from their defaults."""
    values = {key: value for key, value in vars(PARAMETERS).items() if key not in TERMS}
    return LossConfig(**(values | dict.fromkeys(TERMS, 0.0) | {name: 1.0}))


def reference(name: str, logits: Numbers, mask: Labels) -> float:
    """Expected loss of `only_unusual(name)` for (B, H, W) logits and labels."""
    known = mask != IGNORE
    z, target = logits[known].astype(np.float64), (mask[known] == CROPLAND).astype(np.float64)
    if not target.size:
        return 0.0
    if name in ("bce", "boundary_bce"):
        smooth = target * (1 - SMOOTHING) + SMOOTHING / 2
        losses = POS_WEIGHT * smooth * np.logaddexp(0, -z) + (1 - smooth) * np.logaddexp(0, z)
        weights = 1.0 if name == "bce" else brute_force_weights(mask, EDGE, SIGMA)[known]
        return float(np.mean(weights * losses))
    if name == "focal":
        return float(np.mean(_focal(z, target)))
    if name == "lovasz":
        return lovasz_extension(np.maximum(1 - z * (2 * target - 1), 0), target)
    false, missed = (0.5, 0.5) if name == "dice" else (FALSE, MISSED)
    probability = 1 / (1 + np.exp(-z))
    hit = (probability * target).sum()
    cost = false * (probability * (1 - target)).sum() + missed * ((1 - probability) * target).sum()
    return float(1 - hit / (hit + cost)) if target.any() else 0.0


def _focal(z: Numbers, target: Numbers) -> Numbers:
    probability = 1 / (1 + np.exp(-np.where(target == 1, z, -z)))
    losses = (1 - probability) ** GAMMA * np.logaddexp(0, -np.where(target == 1, z, -z))
    return np.where(target == 1, ALPHA, 1 - ALPHA) * losses


def jaccard_loss(mistakes: Numbers, target: Numbers) -> float:
    """1 - intersection / union of cropland and a map that is wrong exactly at the mistakes."""
    union = ((target == 1) | (mistakes == 1)).sum()
    return float(mistakes.sum() / union) if union else 0.0


def lovasz_extension(errors: Numbers, target: Numbers) -> float:
    """Lovász extension of the Jaccard loss.

    Errors are sorted in decreasing order. Each error is multiplied by the increase of the loss if its pixel also
    becomes a mistake.
    """
    total, mistakes = 0.0, np.zeros_like(target)
    for pixel in np.argsort(-errors):
        before = jaccard_loss(mistakes, target)
        mistakes[pixel] = 1
        total += errors[pixel] * (jaccard_loss(mistakes, target) - before)
    return total


def brute_force_weights(mask: Labels, edge_weight: float, sigma: float) -> Numbers:
    """Weight of each pixel by its distance to all edge pixels within 3 sigma."""
    reach = int(np.ceil(3 * sigma))
    weights = np.ones(mask.shape)
    for image, labels in enumerate(mask):
        edges = [place for place in np.ndindex(*labels.shape) if _on_edge(labels, *place)]
        for row, column in np.ndindex(*labels.shape):
            steps = [(row - r, column - c) for r, c in edges if max(abs(row - r), abs(column - c)) <= reach]
            squares = [down**2 + right**2 for down, right in steps]
            if squares:
                weights[image, row, column] += edge_weight * np.exp(-min(squares) / (2 * sigma**2))
    return weights


def _on_edge(labels: Labels, row: int, column: int) -> bool:
    near = set(labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].ravel().tolist())
    return labels[row, column] != IGNORE and {CROPLAND, OTHER} <= near
