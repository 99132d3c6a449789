"""The calibration of a network from one validation: temperature, bias, threshold and how well both do."""

from dataclasses import asdict, dataclass, replace
from typing import Literal

from seg.calibration.fitting import Fit, fit_scaling, log_loss
from seg.calibration.histogram import Counts
from seg.calibration.reliability import ReliabilityCurve, expected_calibration_error, reliability_curve
from seg.calibration.thresholds import best_f1_threshold, mapped_share, unbiased_area_threshold

Plain = bool | int | float | str | None


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """What a checkpoint's package takes from the validation.

    Args:
        temperature: Divide logits by the temperature that fits the labels best; false does not.
        bias: Add to the logits, after that, the bias that fits the labels best; false adds none. Either is left out
            where, learnt from most of the validation, it does not fit the rest better.
        threshold: Where a package cuts the probability. keep: so that the same pixels are mapped as in the scores of
            training, those whose plain probability is above `model.threshold`; the default, since nothing is then tuned
            on the pixels that the scores are of. f1: where F1 is highest. area: where as much is mapped as is cropland,
            for figures of area.
    """

    temperature: bool = True
    bias: bool = True
    threshold: Literal["keep", "f1", "area"] = "keep"


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a validation says of a network's probabilities.

    Attributes:
        temperature: What logits are to be divided by, above 0.
        bias: What is to be added to them then.
        threshold: Calibrated probability above which a pixel is cropland.
        f1_threshold: The one with the highest F1; None where not both labels occur.
        area_threshold: The one above which as many pixels lie as are cropland; None likewise.
        ece_before: Expected calibration error of the plain logits, 0 to 1.
        ece_after: The same after calibration; of each part of the samples, with what was fitted on the others.
        cross_fitted: Whether there were several parts; fitted and scored on the same pixels otherwise.
        labelled_share: Share of cropland among the labels, 0 to 1.
        mapped_share: Share of the same pixels above the threshold.
        pixels: How many labels there were.
        note: Why temperature or bias was not fitted, or the threshold is that of the task, although asked otherwise;
            else empty.
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
        """As plain values, for a checkpoint."""
        return asdict(self)


def calibrate(parts: Counts, config: CalibrationConfig, threshold: float) -> Calibration:
    """The calibration that counted logits lead to.

    Args:
        parts: (P, 2, BINS) pixels by part of the samples, label and bin of the logit; P is PARTS, or any other number.
        config: What is wanted.
        threshold: That of the task for plain probabilities, which decides where it is to be kept or none can be chosen.
    """
    parts = parts[parts.any(axis=(1, 2))]
    counts: Counts = parts.sum(axis=0)
    pixels = int(counts.sum())
    asked, config = config, _proven(parts, config)
    scaling, reason = _fit(counts, config)
    if (config.temperature, config.bias) != (asked.temperature, asked.bias):
        left_out = " and ".join(
            name for name in ("temperature", "bias") if getattr(asked, name) > getattr(config, name)
        )
        reason = reason or f"no {left_out}: learnt from some of the samples, it fits others no better"
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
        ece_before=expected_calibration_error(reliability_curve(counts)),
        ece_after=expected_calibration_error(_held_out_curve(parts, config)),
        cross_fitted=len(parts) > 1,
        labelled_share=int(counts[1].sum()) / max(pixels, 1),
        mapped_share=mapped_share(counts, used, scaling),
        pixels=pixels,
        note=reason or "not both labels occur" * (chosen is None),
    )


def _proven(parts: Counts, config: CalibrationConfig) -> CalibrationConfig:
    """What of the wanted fits the labels best when each part is scored with what was learnt from the others.

    The samples of a small validation differ so much that what fits some may be far off for another.
    """
    if len(parts) < 2:
        return config
    ways = [(config.temperature, config.bias), (config.temperature, False), (False, config.bias), (False, False)]
    choices = [replace(config, temperature=temperature, bias=bias) for temperature, bias in dict.fromkeys(ways)]
    losses = [
        sum(log_loss(part, _fit(parts.sum(axis=0) - part, choice).scaling) for part in parts) for choice in choices
    ]
    return choices[losses.index(min(losses))]


def _held_out_curve(parts: Counts, config: CalibrationConfig) -> ReliabilityCurve:
    """The curve after calibration, each part with that of the others if there are several."""
    counts: Counts = parts.sum(axis=0)
    curves = [
        reliability_curve(part, _fit(counts - part if len(parts) > 1 else part, config).scaling) for part in parts
    ]
    return sum(curves[1:], start=curves[0]) if curves else reliability_curve(counts)


def _fit(counts: Counts, config: CalibrationConfig) -> Fit:
    return fit_scaling(counts, temperature=config.temperature, bias=config.bias)
