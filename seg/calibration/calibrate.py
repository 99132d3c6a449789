"""Temperature, bias, threshold and calibration errors of a network, computed from one validation."""

from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from seg.calibration.curves import Counts, ReliabilityCurve, at_or_above, expected_calibration_error, reliability_curve
from seg.calibration.fitting import Fit, fit_scaling, log_loss
from seg.calibration.histogram import CENTRES, EDGES
from seg.calibration.scaling import IDENTITY, Scaling

Plain = bool | int | float | str | None


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """Settings of the calibration after each validation; model packages store its result.

    Args:
        temperature: Divide logits by a temperature fitted to the labels.
        bias: Add a fitted bias to the divided logits. A temperature or bias that does not improve the loss in
            cross-validation is left out.
        threshold: Threshold of the package. keep: `model.threshold`, converted to the scale of calibrated
            probabilities; the converted threshold maps the same pixels, so the scores of training stay valid. f1: the
            threshold with the highest F1. area: the threshold at which the mapped area equals the labelled area.
    """

    temperature: bool = True
    bias: bool = True
    threshold: Literal["keep", "f1", "area"] = "keep"


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Calibration of a network, and statistics of the validation that it was computed from.

    Attributes:
        temperature: Divisor of the logits, above 0.
        bias: Summand after the division by the temperature.
        threshold: Calibrated probability above which a pixel is cropland.
        f1_threshold: Threshold with the highest F1; None if either label is missing.
        area_threshold: Threshold at which the mapped area equals the cropland area; None if either label is missing.
        ece_before: Expected calibration error of the uncalibrated logits, 0 to 1.
        ece_after: Expected calibration error after calibration; each part of the samples is scored with a fit to the
            other parts.
        cross_fitted: True if the samples were divided into several parts. If False, fit and score use the same pixels.
        labelled_share: Share of cropland among the labels, 0 to 1.
        mapped_share: Share of the labelled pixels that are above the threshold.
        pixels: Number of labelled pixels.
        note: Reason why temperature, bias or threshold differ from the configuration; empty if they do not.
    """

    temperature: float
    bias: float
    threshold: float
    f1_threshold: float | None
    area_threshold: float | None
    ece_before: float
    ece_after: float
    cross_fitted: bool
    labelled_share: float
    mapped_share: float
    pixels: int
    note: str

    def plain(self) -> dict[str, Plain]:
        """Plain values by name, for a checkpoint."""
        return asdict(self)


def calibrate(parts: Counts, config: CalibrationConfig, threshold: float) -> Calibration:
    """Calibrate a network from counted logits.

    Args:
        parts: (P, 2, BINS) pixel counts for each part of the samples, each label and each bin of the logit.
        config: Settings of the calibration.
        threshold: Threshold of the task, on uncalibrated probabilities. "keep" always uses this threshold. "f1" and
            "area" use it only if either label is missing.
    """
    parts = parts[parts.any(axis=(1, 2))]
    counts: Counts = parts.sum(axis=0)
    pixels = int(counts.sum())
    requested, config = config, _cross_validated(parts, config)
    scaling, reason = _fit(counts, config)
    if (config.temperature, config.bias) != (requested.temperature, requested.bias):
        left_out = " and ".join(
            name for name in ("temperature", "bias") if getattr(requested, name) > getattr(config, name)
        )
        reason = reason or f"{left_out} left out: no improvement on held-out samples"
    f1, area = best_f1_threshold(counts, scaling), unbiased_area_threshold(counts, scaling)
    kept = scaling.threshold(threshold)
    chosen = {"keep": kept, "f1": f1, "area": area}[config.threshold]
    used = kept if chosen is None else chosen
    return Calibration(
        temperature=scaling.temperature,
        bias=scaling.bias,
        threshold=used,
        f1_threshold=f1,
        area_threshold=area,
        ece_before=expected_calibration_error(_curve(counts, IDENTITY)),
        ece_after=expected_calibration_error(_held_out_curve(parts, config)),
        cross_fitted=len(parts) > 1,
        labelled_share=int(counts[1].sum()) / max(pixels, 1),
        mapped_share=mapped_share(counts, used, scaling),
        pixels=pixels,
        note=reason or "one label is missing" * (chosen is None),
    )


def best_f1_threshold(counts: Counts, scaling: Scaling = IDENTITY) -> float | None:
    """Threshold with the highest F1 of cropland, nearest to 0.5 if there are several; None if a label is missing.

    Args:
        counts: (2, BINS) pixels by label and bin of the logit.
        scaling: Calibration of the logits.
    """
    if not counts.sum(axis=1).all():
        return None
    f1 = 2 * at_or_above(counts[1]) / (at_or_above(counts.sum(axis=0)) + counts[1].sum())
    return _nearest_to_half(f1 == f1.max(), scaling)


def unbiased_area_threshold(counts: Counts, scaling: Scaling = IDENTITY) -> float | None:
    """Threshold at which the mapped area equals the cropland area, nearest to 0.5 if there are several.

    Args:
        counts: (2, BINS) pixels by label and bin of the logit.
        scaling: Calibration of the logits.

    Returns:
        A probability; None if either label is missing.
    """
    if not counts.sum(axis=1).all():
        return None
    bias = np.abs(at_or_above(counts.sum(axis=0)) - counts[1].sum())
    return _nearest_to_half(bias == bias.min(), scaling)


def mapped_share(counts: Counts, threshold: float, scaling: Scaling = IDENTITY) -> float:
    """Share of the labelled pixels whose probability is above a threshold; 0 if no pixel is labelled."""
    pixels = counts.sum(axis=0)
    above = scaling.probability(CENTRES) > threshold
    return float(pixels[above].sum() / max(int(pixels.sum()), 1))


def _cross_validated(parts: Counts, config: CalibrationConfig) -> CalibrationConfig:
    """Switch off temperature, bias or both if this lowers the cross-validated loss.

    In a small validation, a fit to some samples may be wrong for the others.
    """
    if len(parts) < 2:
        return config
    options = [(config.temperature, config.bias), (config.temperature, False), (False, config.bias), (False, False)]
    choices = [replace(config, temperature=temperature, bias=bias) for temperature, bias in dict.fromkeys(options)]
    losses = [
        sum(log_loss(part, _fit(parts.sum(axis=0) - part, choice).scaling) for part in parts) for choice in choices
    ]
    return choices[losses.index(min(losses))]


def _held_out_curve(parts: Counts, config: CalibrationConfig) -> ReliabilityCurve:
    """Reliability after calibration; if there are several parts, each is calibrated by a fit to the others."""
    counts: Counts = parts.sum(axis=0)
    curves = [_curve(part, _fit(counts - part if len(parts) > 1 else part, config).scaling) for part in parts]
    return sum(curves[1:], start=curves[0]) if curves else _curve(counts, IDENTITY)


def _curve(counts: Counts, scaling: Scaling) -> ReliabilityCurve:
    return reliability_curve(counts, scaling.probability(CENTRES))


def _fit(counts: Counts, config: CalibrationConfig) -> Fit:
    return fit_scaling(counts, temperature=config.temperature, bias=config.bias)


def _nearest_to_half(candidate: npt.NDArray[np.bool_], scaling: Scaling) -> float:
    edges = EDGES[candidate]
    # Logits are compared, because probabilities near 0 or 1 round to equal numbers.
    return float(scaling.probability(edges[np.abs(scaling.logits(edges)).argmin()]))
