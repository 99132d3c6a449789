"""Weights and parameters of the training loss."""

import math
from dataclasses import dataclass

from seg.errors import ConfigError

TERMS = ("bce", "dice", "focal", "tversky", "lovasz", "boundary_bce")
"""Loss terms, by the name of the weight."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights and parameters of the loss terms; a term with weight 0 is left out.

    Args:
        bce: Weight of binary cross-entropy.
        dice: Weight of soft Dice.
        focal: Weight of the focal loss (Lin et al. 2017, https://doi.org/10.1109/ICCV.2017.324).
        tversky: Weight of the Tversky loss (Salehi et al. 2017, https://doi.org/10.1007/978-3-319-67389-9_44).
        lovasz: Weight of the Lovász hinge (Berman et al. 2018, https://doi.org/10.1109/CVPR.2018.00464).
        boundary_bce: Weight of binary cross-entropy with increased weights near the edges between cropland and other.
        boundary: Weight of the boundary head's loss. This loss has the same terms and weights, but its labels are the
            edges between cropland and other.
        boundary_width: Width of the edges that the boundary head learns, in pixels to each side.
        pos_weight: Weight of a cropland pixel in bce and boundary_bce relative to a pixel of "other", above 0.
        label_smoothing: Label smoothing in bce and boundary_bce: share of each label that is divided between both
            classes, 0 to below 1.
        focal_gamma: Exponent of the focal loss, which reduces the weight of easy pixels, 0 or more; 0 gives
            cross-entropy.
        focal_alpha: Weight of cropland in the focal loss, above 0 and below 1; other has the weight 1 - focal_alpha.
            null gives both the weight 1.
        tversky_alpha: Weight of false positives. With tversky_alpha = tversky_beta = 0.5, the loss is Dice.
        tversky_beta: Weight of false negatives. The defaults of tversky_alpha and tversky_beta are the values that
            scored best in the paper.
        edge_weight: Additional weight of a pixel on an edge in boundary_bce. The defaults of edge_weight and edge_sigma
            are those of the U-Net paper.
        edge_sigma: Standard deviation in pixels of the Gaussian that reduces edge_weight with the distance to the edge,
            above 0 and at most 100.
    """

    bce: float = 1.0
    dice: float = 1.0
    focal: float = 0.0
    tversky: float = 0.0
    lovasz: float = 0.0
    boundary_bce: float = 0.0
    boundary: float = 0.0
    boundary_width: int = 1
    pos_weight: float = 1.0
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    focal_alpha: float | None = None
    tversky_alpha: float = 0.3
    tversky_beta: float = 0.7
    edge_weight: float = 10.0
    edge_sigma: float = 5.0


def check_loss(config: LossConfig) -> None:
    """Check weights and parameters.

    Raises:
        ConfigError: A weight or a parameter is out of range.
    """
    weights = {name: getattr(config, name) for name in TERMS}
    if not all(0 <= weight < math.inf for weight in weights.values()) or not any(weights.values()):
        listed = ", ".join(f"{name}={weight}" for name, weight in weights.items())
        raise ConfigError(f"loss weights are {listed}; wanted none below 0 and at least one above 0")
    if not 0 <= config.boundary < math.inf or config.boundary_width < 1:
        raise ConfigError(
            f"loss boundary={config.boundary}, boundary_width={config.boundary_width}; wanted a weight of 0 or "
            "more and a width of at least 1"
        )
    for name, fits, wanted in (
        ("pos_weight", 0 < config.pos_weight < math.inf, "above 0"),
        ("label_smoothing", 0 <= config.label_smoothing < 1, "0 to below 1"),
        ("focal_gamma", 0 <= config.focal_gamma < math.inf, "0 or more"),
        ("focal_alpha", config.focal_alpha is None or 0 < config.focal_alpha < 1, "null, or above 0 and below 1"),
        ("tversky_alpha", 0 <= config.tversky_alpha < math.inf, "0 or more"),
        ("tversky_beta", 0 <= config.tversky_beta < math.inf, "0 or more"),
        ("tversky_beta", config.tversky_alpha + config.tversky_beta > 0, "above 0 where tversky_alpha is 0"),
        ("edge_weight", 0 <= config.edge_weight < math.inf, "0 or more"),
        ("edge_sigma", 0 < config.edge_sigma <= 100, "above 0 and at most 100 pixels"),
    ):
        if not fits:
            raise ConfigError(f"model.loss.{name} is {getattr(config, name)}; wanted {wanted}")
