"""Estimate of areas and accuracies from an interpreted sample: `scripts/evaluate.py area`."""

from pathlib import Path

import numpy as np

from seg import __version__
from seg.evaluation.area.design import design_path
from seg.evaluation.area.estimator import Estimate
from seg.evaluation.area.interpreted import InterpretedSample, interpreted_sample
from seg.evaluation.area.settings import AreaSettings
from seg.evaluation.report_folder import report_folder
from seg.files import require_output_folder, write_json
from seg.raster.sources import require_apart, require_replaceable
from seg.terminal.text import text_table

FILE_NAME = "area.json"


def estimate_area(
    points: Path, output: Path, settings: AreaSettings, design: Path | None = None, prediction: Path | None = None
) -> dict[str, object]:
    """Estimate areas and accuracies, print them as tables, and write area.json.

    Args:
        points: The drawn points, with their references.
        output: Folder for area.json; made if its parent exists.
        settings: Treatment of points without a reference, and confidence of the intervals.
        design: Design of the sample; None for the file beside the points.
        prediction: Another map to evaluate with the same points; None for the sampled map.

    Returns:
        Content of area.json.

    Raises:
        ConfigError: The folder cannot be made, or a setting does not fit the map.
        DatasetError: Points or design cannot be read, do not belong together, or lack references.
        RasterError: The other map cannot be read, or has no class at a point.
        WriteError: The file cannot be written.
        ClaimError: Another process writes an estimate to the folder.
    """
    require_output_folder(output)
    require_replaceable(output / FILE_NAME)
    require_apart([output / FILE_NAME], [points, design or design_path(points), prediction])
    with report_folder(output, [FILE_NAME]) as unfinished:
        interpreted = interpreted_sample(points, settings, design, prediction)
        content = as_json(interpreted, settings)
        content["points"] = str(points)
        print(_estimate_text(interpreted, settings.confidence))
        write_json(content, unfinished / FILE_NAME)
    print(f"written: {output / FILE_NAME}")
    return content


def as_json(interpreted: InterpretedSample, settings: AreaSettings) -> dict[str, object]:
    """Estimates with their standard errors as JSON values; undefined estimates are None.

    Args:
        interpreted: The sample with its references; areas in hectares.
        settings: Settings of the estimate.
    """
    sample, labels = interpreted.sample, sorted(interpreted.classes, reverse=True)
    counts = np.bincount(sample.stratum, minlength=len(sample.strata)).tolist()
    confidence = settings.confidence
    return {
        "software": {"name": "cropland-seg", "version": __version__},
        "settings": {"unfilled": settings.unfilled, "confidence": confidence, "sample": interpreted.drawn},
        "map": {"path": interpreted.map, "sha256": interpreted.map_sha256},
        "pixel_count": {
            f"{interpreted.classes[label].replace(' ', '_')}_ha": interpreted.mapped_ha.get(label, 0.0)
            for label in labels
        },
        "strata": [
            {
                "name": stratum.name,
                "area_ha": stratum.area,
                "weight": stratum.area / sample.total_area,
                "samples": count,
                "only_reference": only,
            }
            for stratum, count, only in zip(sample.strata, counts, _only_references(interpreted), strict=True)
        ],
        "samples": len(sample.stratum),
        "unfilled": interpreted.unfilled,
        "confidence": confidence,
        "classes": [
            {
                "name": interpreted.classes[label],
                "area_ha": _figures(sample.area(label), confidence),
                "users_accuracy": _figures(sample.users_accuracy(label), confidence),
                "producers_accuracy": _figures(sample.producers_accuracy(label), confidence),
            }
            for label in labels
        ],
        "overall_accuracy": _figures(sample.overall_accuracy(), confidence),
        "confusion": sample.confusion(labels).tolist(),
        "error_matrix_proportions": sample.proportions(labels).tolist(),
        "notes": _notes(interpreted),
    }


def _figures(estimate: Estimate | None, confidence: float) -> dict[str, float | None]:
    if estimate is None:
        return dict.fromkeys(("value", "standard_error", "low", "high"))
    low, high = estimate.interval(confidence)
    return {"value": estimate.value, "standard_error": estimate.standard_error, "low": low, "high": high}


def _only_references(interpreted: InterpretedSample) -> list[str | None]:
    """Class that all references of a stratum have; None if references differ, or if the stratum is fully sampled."""
    return [None if label is None else interpreted.classes[label] for label in interpreted.sample.only_references()]


def _notes(interpreted: InterpretedSample) -> list[str]:
    """Reasons why the estimates are less certain than the standard errors suggest."""
    notes = [
        f"all points of stratum '{stratum.name}' are {only}; the stratum adds nothing to the standard errors, so the "
        "intervals are somewhat too narrow"
        for stratum, only in zip(interpreted.sample.strata, _only_references(interpreted), strict=True)
        if only is not None
    ]
    if interpreted.unfilled:
        notes.append(f"points without a reference: {interpreted.unfilled}")
    return notes


def _estimate_text(interpreted: InterpretedSample, confidence: float) -> str:
    sample = interpreted.sample
    rows = []
    for label in sorted(interpreted.classes, reverse=True):
        area = sample.area(label)
        low, high = area.interval(confidence)
        accuracies = (sample.users_accuracy(label), sample.producers_accuracy(label))
        rows.append(
            [
                interpreted.classes[label],
                f"{interpreted.mapped_ha.get(label, 0.0):,.1f}",
                f"{area.value:,.1f}",
                f"{area.standard_error:,.1f}",
                f"{low:,.1f} to {high:,.1f}",
                *(_with_half(accuracy, confidence) for accuracy in accuracies),
            ]
        )
    columns = ["class", "mapped ha", "estimated ha", "standard error", f"{100 * confidence:.4g} % interval"]
    lines = [
        f"{interpreted.map}, evaluated with {len(sample.stratum):,} points in {len(sample.strata)} strata",
        "",
        text_table([*columns, "user's accuracy", "producer's accuracy"], rows),
        "",
        f"overall accuracy {_with_half(sample.overall_accuracy(), confidence)}",
        *(f"note: {note}" for note in _notes(interpreted)),
    ]
    return "\n".join(lines)


def _with_half(estimate: Estimate | None, confidence: float) -> str:
    """Format an accuracy and half the width of its interval; the interval is not clipped to 0 and 1."""
    if estimate is None:
        return "-"
    half = Estimate(0.0, estimate.standard_error, np.inf).interval(confidence)[1]
    return f"{estimate.value:.3f} ± {half:.3f}"
