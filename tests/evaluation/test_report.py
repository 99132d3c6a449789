import io
import json
from pathlib import Path

import pytest
from rich.console import Console

import seg
from seg.evaluation.accuracy import Comparison, FoldSelection
from seg.evaluation.confusion import ConfusionCounts
from seg.evaluation.report import print_comparison, write_json

COUNTS = ConfusionCounts(tp=3000, fp=500, fn=250, tn=6000)


def comparison(unmapped: int = 0, within: FoldSelection | None = None) -> Comparison:
    return Comparison(Path("maps/[2024] map.tif"), Path("mask.tif"), within, COUNTS, unmapped)


def printed(shown: Comparison, terminal: bool = False) -> str:
    stream = io.StringIO()
    print_comparison(shown, Console(file=stream, force_terminal=terminal, width=100))
    return stream.getvalue()


def test_every_count_and_score_is_printed() -> None:
    text = printed(comparison())
    lines = [line.split() for line in text.splitlines()]
    assert ["cropland", "3,000", "250"] in lines
    assert ["other", "500", "6,000"] in lines
    assert ["IoU", "0.8000"] in lines
    assert [" ".join(line[:-1]) for line in lines if line and line[-1].startswith("0.")] == [
        "IoU",
        "F1",
        "precision",
        "recall",
        "overall accuracy",
        "kappa",
    ]


def test_output_to_a_file_is_plain_ascii() -> None:
    text = printed(comparison())
    assert text.isascii()
    assert "\x1b" not in text


def test_terminal_gets_ruled_tables() -> None:
    assert "─" in printed(comparison(), terminal=True)


def test_brackets_in_a_file_name_are_printed_as_they_are() -> None:
    assert "maps/[2024] map.tif against mask.tif" in printed(comparison())


def test_fold_is_named() -> None:
    assert "fold 3 of folds.tif" in printed(comparison(within=FoldSelection(Path("folds.tif"), 3)))


def test_unmapped_pixels_are_told_with_their_share() -> None:
    assert "250 labelled pixels (2.50%) have no value in the map" in printed(comparison(unmapped=250))


def test_full_cover_is_told() -> None:
    assert "every labelled pixel has a value" in printed(comparison())


def test_json_holds_files_fold_counts_scores_and_version(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.json"
    write_json(comparison(unmapped=7, within=FoldSelection(Path("folds.tif"), 3)), path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content == {
        "software": {"name": "cropland-seg", "version": seg.__version__},
        "prediction": "maps/[2024] map.tif",
        "reference": "mask.tif",
        "fold": {"raster": "folds.tif", "number": 3},
        "counts": {
            "true_positive": 3000,
            "false_positive": 500,
            "false_negative": 250,
            "true_negative": 6000,
            "compared": 9750,
            "unmapped": 7,
        },
        "scores": pytest.approx(COUNTS.scores()),
    }


def test_json_without_a_fold_says_null(tmp_path: Path) -> None:
    write_json(comparison(), tmp_path / "accuracy.json")
    assert json.loads((tmp_path / "accuracy.json").read_text())["fold"] is None
