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
            where, learnt from one half of the validation, it does not fit the other half better.
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
        ece_after: The same after calibration; fitted on one half of the samples and scored on the other, both ways.
        cross_fitted: Whether there were two halves; fitted and scored on the same pixels otherwise.
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


def calibrate(halves: Counts, config: CalibrationConfig, threshold: float) -> Calibration:
    """The calibration that counted logits lead to.

    Args:
        halves: (2, 2, BINS) pixels by half, label and bin of the logit.
        config: What is wanted.
        threshold: That of the task for plain probabilities, which decides where it is to be kept or none can be chosen.
    """
    counts: Counts = halves.sum(axis=0)
    pixels = int(counts.sum())
    asked, config = config, _proven(halves, config)
    scaling, reason = _fit(counts, config)
    if (config.temperature, config.bias) != (asked.temperature, asked.bias):
        left_out = " and ".join(
            name for name in ("temperature", "bias") if getattr(asked, name) > getattr(config, name)
        )
        reason = reason or f"no {left_out}: learnt from one half of the samples, it fits the other no better"
    f1, area = best_f1_threshold(counts, scaling), unbiased_area_threshold(counts, scaling)
    kept = scaling.threshold(threshold)
    chosen = {"keep": kept, "f1": f1, "area": area}[config.threshold]
    used = kept if chosen is None else chosen
    after, cross_fitted = _held_out_curve(halves, config)
    return Calibration(
        temperature=scaling.temperature,
        bias=scaling.bias,
        threshold=used,
        f1_threshold=f1,
        area_threshold=area,
        ece_before=expected_calibration_error(reliability_curve(counts)),
        ece_after=expected_calibration_error(after),
        cross_fitted=cross_fitted,
        labelled_share=int(counts[1].sum()) / max(pixels, 1),
        mapped_share=mapped_share(counts, used, scaling),
        pixels=pixels,
        note=reason or "not both labels occur" * (chosen is None),
    )


def _proven(halves: Counts, config: CalibrationConfig) -> CalibrationConfig:
    """What of the wanted fits the labels best when each half is scored with what was learnt from the other.

    The samples of a small validation differ so much that what fits one half may be far off for the other.
    """
    if not all(half.any() for half in halves):
        return config
    ways = [(config.temperature, config.bias), (config.temperature, False), (False, config.bias), (False, False)]
    choices = [replace(config, temperature=temperature, bias=bias) for temperature, bias in dict.fromkeys(ways)]
    first, second = halves
    losses = [
        log_loss(first, _fit(second, choice).scaling) + log_loss(second, _fit(first, choice).scaling)
        for choice in choices
    ]
    return choices[losses.index(min(losses))]


def _held_out_curve(halves: Counts, config: CalibrationConfig) -> tuple[ReliabilityCurve, bool]:
    """The curve after calibration, each half with that of the other, and whether both halves have pixels."""
    first, second = halves
    cross = bool(first.any() and second.any())
    fitted_on = (second, first) if cross else (first + second, first + second)
    curves = [
        reliability_curve(scored, _fit(fitted, config).scaling)
        for scored, fitted in zip(halves, fitted_on, strict=True)
    ]
    return curves[0] + curves[1], cross


def _fit(counts: Counts, config: CalibrationConfig) -> Fit:
    return fit_scaling(counts, temperature=config.temperature, bias=config.bias)
