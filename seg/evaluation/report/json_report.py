"""Result of a comparison as JSON, with all inputs and settings. An undefined score is null."""

from dataclasses import asdict
from pathlib import Path

from seg import __version__
from seg.calibration.curves import PrecisionRecallCurve, ReliabilityCurve, average_precision, expected_calibration_error
from seg.evaluation.accuracy import Accuracy
from seg.evaluation.counts.bootstrap import CONFIDENCE
from seg.evaluation.counts.confusion import percent_precision_recall, percent_reliability, ratio
from seg.evaluation.counts.tiles import as_confusion
from seg.evaluation.pairs import (
    Inputs,
    Pair,
    Pairing,
    is_vector,
)
from seg.evaluation.scene import SceneAccuracy
from seg.files import sha256
from seg.raster.grid import open_raster

Json = dict[str, object]


def as_json(accuracy: Accuracy, pairing: Pairing, inputs: Inputs) -> Json:
    """Content of accuracy.json: files with their hashes, settings, counts and every score.

    Args:
        accuracy: Result of the comparison.
        pairing: Files that were compared, and files without a partner.
        inputs: Inputs of the command line.
    """
    counts = accuracy.counts
    return {
        "software": {"name": "cropland-seg", "version": __version__},
        "settings": _settings(accuracy, inputs),
        "pairs": [_pair(pair) for pair in pairing.pairs],
        "unmatched": {"predictions": pairing.lone_predictions, "references": pairing.lone_references},
        "counts": asdict(counts),
        "compared": counts.compared,
        "unmapped": accuracy.unmapped,
        "scores": _scores_with_intervals(accuracy),
        "bootstrap": _bootstrap(accuracy),
        "scenes": [_scene(scene) for scene in accuracy.scenes],
        "strata": _strata(accuracy, inputs),
        "boundary": _boundary(accuracy),
        "objects": _objects(accuracy),
        "curves": _curves(accuracy),
        "worst": _worst(accuracy),
    }


def _settings(accuracy: Accuracy, inputs: Inputs) -> Json:
    """Options that affect scores; automatic options have the value that was used."""
    measures = accuracy.measures
    settings = asdict(measures.settings) | {
        "tolerances": list(measures.tolerances.values),
        "block_size": measures.block_size,
        "chip_size": measures.chip_size,
    }
    del settings["window_size"]
    return settings | {
        "fold": inputs.fold,
        "stratum_attribute": inputs.stratum_attribute,
        "stratum_layer": inputs.stratum_layer,
    }


def _pair(pair: Pair) -> Json:
    with open_raster(pair.prediction) as class_map:
        tags = {key: value for key, value in sorted(class_map.tags().items()) if key.startswith("SEG_")}
    files = {
        "prediction": pair.prediction,
        "reference": pair.reference,
        "probability": pair.probability,
        "folds": pair.within.path if pair.within else None,
        "strata": pair.strata.path if pair.strata else None,
    }
    paths: Json = {kind: _text(path) for kind, path in files.items()}
    # The image is not hashed: it is large, and it only appears in pictures.
    hashes: Json = {f"{kind}_sha256": _hash(path) for kind, path in files.items()}
    return {"name": pair.name, "image": _text(pair.image)} | paths | hashes | {"tags": tags}


def _scores_with_intervals(accuracy: Accuracy) -> Json:
    intervals = accuracy.bootstrap.intervals if accuracy.bootstrap else {}
    scores: Json = {}
    for name, value in accuracy.counts.scores().items():
        low, high = intervals.get(name, (None, None))
        scores[name] = {"value": value, "low": low, "high": high}
    return scores


def _bootstrap(accuracy: Accuracy) -> Json | None:
    found = accuracy.bootstrap
    if found is None:
        return None
    return {
        "unit": found.unit,
        "units": found.units,
        "block_size": found.block_size,
        "repetitions": found.repetitions,
        "seed": found.seed,
        "confidence": CONFIDENCE,
    }


def _scene(scene: SceneAccuracy) -> Json:
    return {
        "name": scene.pair.name,
        "counts": asdict(scene.counts),
        "compared": scene.counts.compared,
        "unmapped": scene.unmapped,
        "scores": scene.counts.scores(),
    }


def _strata(accuracy: Accuracy, inputs: Inputs) -> Json:
    rows = []
    for name, counts in accuracy.strata.items():
        confusion = as_confusion(counts)
        rows.append(
            {
                "name": name,
                "counts": asdict(confusion),
                "compared": confusion.compared,
                "unmapped": int(counts[-1]),
                "scores": confusion.scores(),
            }
        )
    return {"by": inputs.stratum_attribute or _text(inputs.strata), "rows": rows}


def _boundary(accuracy: Accuracy) -> list[Json]:
    tolerances = accuracy.measures.tolerances
    unit = "tolerance_m" if tolerances.metric else "tolerance_px"
    return [
        {
            unit: value,
            "precision": counts.precision,
            "recall": counts.recall,
            "f1": counts.f1,
            "iou": counts.iou,
            "mapped_pixels": counts.mapped,
            "reference_pixels": counts.reference,
        }
        for value, counts in zip(tolerances.values, accuracy.boundary, strict=True)
    ]


def _objects(accuracy: Accuracy) -> Json:
    parcels = accuracy.parcels
    return {
        "iou_threshold": accuracy.measures.settings.object_iou,
        "source": _parcel_source(accuracy),
        "reference": parcels.reference,
        "mapped": parcels.mapped,
        "matched": parcels.matched,
        "overlapped": parcels.overlapped,
        "precision": parcels.precision,
        "recall": parcels.recall,
        "f1": parcels.f1,
        "over_segmentation": parcels.over_segmentation,
        "under_segmentation": parcels.under_segmentation,
    }


def _parcel_source(accuracy: Accuracy) -> str:
    """Kind of the reference's parcels: its polygons, or the connected components of its cropland."""
    vectors = {is_vector(scene.pair.reference) for scene in accuracy.scenes}
    return "both" if len(vectors) > 1 else "polygons" if True in vectors else "components"


def _curves(accuracy: Accuracy) -> Json | None:
    histogram = accuracy.histogram
    if histogram is None or not histogram.any():
        return None
    curve = percent_reliability(histogram)
    return {
        "scenes": sum(scene.histogram is not None for scene in accuracy.scenes),
        "precision_recall": _thresholds(percent_precision_recall(histogram)),
        "average_precision": average_precision(histogram),
        "reliability": _bins(curve),
        "expected_calibration_error": expected_calibration_error(curve),
    }


def _thresholds(curve: PrecisionRecallCurve) -> list[Json]:
    rows = zip(curve.threshold.tolist(), curve.hits.tolist(), curve.mapped.tolist(), strict=True)
    return [
        {"threshold": threshold, "precision": ratio(hits, mapped), "recall": ratio(hits, curve.cropland)}
        for threshold, hits, mapped in rows
    ]


def _bins(curve: ReliabilityCurve) -> list[Json]:
    bins = len(curve.pixels)
    rows = zip(curve.pixels.tolist(), curve.predicted.tolist(), curve.observed.tolist(), strict=True)
    return [
        {
            "low": place / bins,
            "high": (place + 1) / bins,
            "pixels": pixels,
            "mean_probability": predicted if pixels else None,
            "cropland_share": observed if pixels else None,
        }
        for place, (pixels, predicted, observed) in enumerate(rows)
    ]


def _worst(accuracy: Accuracy) -> list[Json]:
    return [
        {
            "scene": scene.pair.name,
            "column": found.window.col_off,
            "row": found.window.row_off,
            "width": found.window.width,
            "height": found.window.height,
            "errors": found.errors,
            "compared": found.counts.compared,
            "iou": found.counts.iou,
        }
        for scene, found in accuracy.worst
    ]


def _hash(path: Path | None) -> str | None:
    """SHA-256 of a file; None if the path is not a plain file, such as a GDAL subdataset."""
    return sha256(path) if path is not None and path.is_file() else None


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
