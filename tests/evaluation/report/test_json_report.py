import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

import seg
from seg.evaluation.accuracy import measure_accuracy
from seg.evaluation.pairs import (
    Inputs,
    Pair,
    Pairing,
    Strata,
)
from seg.evaluation.report.json_report import as_json
from seg.evaluation.settings import EvaluationSettings
from seg.files import write_json
from seg.labels import CROPLAND, IGNORE, OTHER

WriteRaster = Callable[..., Path]


@pytest.fixture
def pair(write_raster: WriteRaster) -> Pair:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (8, 8)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    mapped = np.where(random.random((64, 64)) < 0.1, 1 - labels, labels).astype(np.uint8)
    mapped[0] = IGNORE
    return Pair(
        "map",
        write_raster("map.tif", mapped, nodata=IGNORE),
        write_raster("mask.tif", labels),
        probability=write_raster("map_probability.tif", np.where(mapped == CROPLAND, 90, 20).astype(np.uint8)),
    )


def written(pair: Pair, folder: Path, **options: object) -> dict[str, object]:
    accuracy = measure_accuracy(
        [pair], EvaluationSettings(**({"chip_size": 16, "block_size": 16, "bootstrap": 30} | options))
    )
    inputs = Inputs(pair.prediction, pair.reference, strata=pair.strata.path if pair.strata else None)
    write_json(as_json(accuracy, Pairing([pair], [], []), inputs), folder / "accuracy.json")
    content: dict[str, object] = json.loads((folder / "accuracy.json").read_text(encoding="utf-8"))
    return content


def test_files_are_listed_with_their_hashes(pair: Pair, tmp_path: Path) -> None:
    assert written(pair, tmp_path)["pairs"] == [
        {
            "name": "map",
            "prediction": str(pair.prediction),
            "reference": str(pair.reference),
            "probability": str(pair.probability),
            "image": None,
            "folds": None,
            "strata": None,
            "prediction_sha256": hashlib.sha256(pair.prediction.read_bytes()).hexdigest(),
            "reference_sha256": hashlib.sha256(pair.reference.read_bytes()).hexdigest(),
            "probability_sha256": hashlib.sha256(pair.probability.read_bytes()).hexdigest(),
            "folds_sha256": None,
            "strata_sha256": None,
            "tags": {},
        }
    ]


def test_json_has_every_number(pair: Pair, tmp_path: Path) -> None:
    content = written(pair, tmp_path)
    counts = content["counts"]
    assert content["software"] == {"name": "cropland-seg", "version": seg.__version__}
    assert (content["compared"], content["unmapped"]) == (63 * 64, 64)
    assert sum(counts.values()) == 63 * 64
    for name, score in content["scores"].items():
        assert score["low"] < score["value"] < score["high"], name
    assert content["bootstrap"] == {
        "unit": "block",
        "units": 16,
        "block_size": 16,
        "repetitions": 30,
        "seed": 0,
        "confidence": 0.95,
    }
    assert content["scenes"] == [
        {
            "name": "map",
            "counts": counts,
            "compared": 63 * 64,
            "unmapped": 64,
            "scores": {name: score["value"] for name, score in content["scores"].items()},
        }
    ]
    names = ["tolerance_m", "precision", "recall", "f1", "iou", "mapped_pixels", "reference_pixels"]
    assert [list(row) for row in content["boundary"]] == [names] * 3
    assert content["objects"]["reference"] > 1
    assert len(content["curves"]["precision_recall"]) == 101
    assert len(content["curves"]["reliability"]) == 10
    assert content["strata"] == {"by": None, "rows": []}


def test_json_has_the_settings_used(pair: Pair, tmp_path: Path) -> None:
    found = written(pair, tmp_path)["settings"]
    assert (found["tolerances"], found["block_size"], found["fold"]) == ([10, 20, 40], 16, None)
    assert "window_size" not in found


def test_same_comparison_gives_the_same_bytes_for_any_windows(pair: Pair, tmp_path: Path) -> None:
    written(pair, tmp_path)
    first = (tmp_path / "accuracy.json").read_bytes()
    written(pair, tmp_path, window_size=17)
    assert (tmp_path / "accuracy.json").read_bytes() == first


def test_undefined_numbers_are_null(pair: Pair, tmp_path: Path, write_raster: WriteRaster) -> None:
    empty = write_raster("empty.tif", np.full((64, 64), OTHER, np.uint8))
    content = written(replace(pair, prediction=empty, reference=empty, probability=None), tmp_path, bootstrap=0)
    assert content["scores"]["iou"] == {"value": None, "low": None, "high": None}
    assert content["scores"]["overall_accuracy"]["value"] == 1
    assert (content["curves"], content["bootstrap"], content["worst"]) == (None, None, [])
    assert content["boundary"][0]["f1"] is None
    assert content["objects"]["precision"] is None


def test_undefined_values_of_a_curve_are_null(pair: Pair, tmp_path: Path, write_raster: WriteRaster) -> None:
    sure = write_raster("sure.tif", np.full((64, 64), 90, np.uint8))
    curves = written(replace(pair, probability=sure), tmp_path)["curves"]
    bins = curves["reliability"]
    assert [one["low"] for one in bins[1:]] == [one["high"] for one in bins[:-1]]
    assert (bins[0]["low"], bins[9]["high"], bins[9]["pixels"], bins[9]["mean_probability"]) == (0, 1, 64 * 64, 0.9)
    assert {(one["pixels"], one["mean_probability"], one["cropland_share"]) for one in bins[:9]} == {(0, None, None)}
    points = curves["precision_recall"]
    assert [point["threshold"] for point in points] == [percent / 100 for percent in range(101)]
    assert (points[90]["recall"], points[91]["precision"], points[91]["recall"]) == (1, None, 0)


def test_recall_is_null_without_cropland(pair: Pair, tmp_path: Path, write_raster: WriteRaster) -> None:
    other = write_raster("other.tif", np.full((64, 64), OTHER, np.uint8))
    curves = written(replace(pair, reference=other), tmp_path)["curves"]
    assert curves["average_precision"] is None
    assert {point["recall"] for point in curves["precision_recall"]} == {None}


def test_tolerances_are_in_pixels_without_a_crs(tmp_path: Path, write_raster: WriteRaster) -> None:
    path = write_raster("plain.tif", np.eye(64, dtype=np.uint8), crs=None, transform=None)
    rows = written(Pair("plain", path, path), tmp_path, tolerances=[2.0])["boundary"]
    assert [next(iter(row)) for row in rows] == ["tolerance_px"]


def test_json_names_the_source_of_the_strata(pair: Pair, tmp_path: Path, write_raster: WriteRaster) -> None:
    soil = write_raster("soil.tif", np.arange(64).reshape(64, 1).repeat(64, 1).astype(np.uint8) // 32)
    found = written(replace(pair, strata=Strata(soil)), tmp_path)["strata"]
    assert found["by"] == str(soil)
    assert [(row["name"], row["compared"], row["unmapped"]) for row in found["rows"]] == [
        ("0", 31 * 64, 64),
        ("1", 32 * 64, 0),
    ]


def test_worst_windows_have_their_position(pair: Pair, tmp_path: Path) -> None:
    worst = written(pair, tmp_path, worst=2)["worst"]
    assert len(worst) == 2
    assert worst[0]["errors"] >= worst[1]["errors"] > 0
    assert (worst[0]["scene"], worst[0]["width"], worst[0]["height"]) == ("map", 16, 16)
    assert worst[0]["column"] % 16 == worst[0]["row"] % 16 == 0


def test_tags_of_the_map_are_kept(pair: Pair, tmp_path: Path) -> None:
    with rasterio.open(pair.prediction, "r+") as dataset:
        dataset.update_tags(SEG_MODEL="abc", OTHER="x")
    assert written(pair, tmp_path)["pairs"][0]["tags"] == {"SEG_MODEL": "abc"}
