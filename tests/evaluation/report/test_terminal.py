from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seg.evaluation.accuracy import measure_accuracy
from seg.evaluation.pairs import (
    FoldSelection,
    Pair,
    Pairing,
    Strata,
)
from seg.evaluation.report.terminal import accuracy_text
from seg.evaluation.settings import EvaluationSettings
from seg.labels import CROPLAND, IGNORE, OTHER

WriteRaster = Callable[..., Path]
SHAPE = 100, 80


@pytest.fixture
def pair(write_raster: WriteRaster) -> Pair:
    """A pair with tp 3000, fp 500, fn 250 and tn 4000, and 250 labelled pixels without a mapped class."""
    labels = np.repeat([CROPLAND, OTHER, CROPLAND, OTHER, OTHER], [3000, 500, 250, 4000, 250]).astype(np.uint8)
    mapped = np.repeat([CROPLAND, CROPLAND, OTHER, OTHER, IGNORE], [3000, 500, 250, 4000, 250]).astype(np.uint8)
    return Pair(
        "[2024] map",
        write_raster("[2024] map.tif", mapped.reshape(SHAPE), nodata=IGNORE),
        write_raster("mask.tif", labels.reshape(SHAPE)),
    )


def printed(pairs: list[Pair], **options: object) -> str:
    return accuracy_text(measure_accuracy(pairs, EvaluationSettings(**options)), Pairing(pairs, [], []))


def rows(text: str) -> list[list[str]]:
    return [line.replace("|", " ").split() for line in text.splitlines()]


def test_every_count_and_score_is_printed(pair: Pair) -> None:
    found = rows(printed([pair]))
    assert ["cropland", "3,000", "250"] in found
    assert ["other", "500", "4,000"] in found
    assert ["IoU", "0.8000"] in found
    names = ("IoU", "F1", "precision", "recall", "overall accuracy", "kappa", "MCC")
    assert [" ".join(row[:-1]) for row in found if row[-1:] and row[-1].startswith("0.")][:7] == list(names)


def test_boundary_and_parcels_are_printed(pair: Pair) -> None:
    found = rows(printed([pair], tolerances=[10.0, 25.0]))
    assert ["boundary", "within", "F1", "precision", "recall", "IoU", "pixels", "in", "reference"] in found
    assert [row[:2] for row in found if row[1:2] == ["m"]] == [["10", "m"], ["25", "m"]]
    assert ["in", "the", "reference", "2"] in found
    assert ["matched,", "IoU", "above", "0.5", "1"] in found


def test_intervals_are_printed_beside_the_scores(pair: Pair) -> None:
    text = printed([pair], chip_size=16, block_size=16, bootstrap=50)
    assert "95% interval" in text
    assert "intervals: bootstrap over 35 blocks of 16 pixels, 50 draws, seed 0" in text
    low, high = next((float(row[2]), float(row[4])) for row in rows(text) if row[:1] == ["IoU"] and len(row) == 5)
    assert low < 0.8 < high


def test_too_few_blocks_for_intervals_are_reported(pair: Pair) -> None:
    assert "no intervals: fewer than 5 scenes or blocks" in printed([pair])


def test_text_is_plain_ascii(pair: Pair) -> None:
    text = printed([pair])
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


def test_brackets_in_a_file_name_are_printed_unchanged(pair: Pair) -> None:
    assert f"{pair.prediction} against {pair.reference}" in printed([pair])


def test_fold_is_printed(pair: Pair, write_raster: WriteRaster) -> None:
    folds = write_raster("folds.tif", np.full(SHAPE, 3, np.uint8))
    assert f", fold 3 of {folds}" in printed([replace(pair, within=FoldSelection(folds, 3))])


def test_unmapped_pixels_are_reported_with_their_share(pair: Pair) -> None:
    assert "the map has no class at 250 labelled pixels (3.12%)" in printed([pair])


def test_complete_cover_is_reported(pair: Pair) -> None:
    assert "the map has a class at every labelled pixel" in printed([replace(pair, prediction=pair.reference)])


def test_strata_are_printed(pair: Pair, write_raster: WriteRaster) -> None:
    soil = write_raster("soil.tif", np.repeat([11, 3], 4000).reshape(SHAPE).astype(np.uint8))
    found = [row for row in rows(printed([replace(pair, strata=Strata(soil))])) if row[:1] in (["3"], ["11"])]
    assert [row[:3] for row in found] == [["3", "3,750", "-"], ["11", "4,000", "0.8000"]]


def test_scenes_are_printed_worst_first(pair: Pair) -> None:
    right = replace(pair, name="right", prediction=pair.reference)
    text = printed([right, pair])
    assert text.index("| [2024] map") < text.index("| right")
    assert "2 maps of" in text


def test_worst_windows_are_printed_if_the_scene_is_larger(pair: Pair) -> None:
    assert "most wrong pixels in" not in printed([pair], chip_size=256)
    assert "most wrong pixels in" in printed([pair], chip_size=16)


def test_boundaries_hidden_in_the_reference_have_a_note(pair: Pair, write_raster: WriteRaster) -> None:
    labels = np.repeat([CROPLAND, IGNORE, OTHER], [3200, 800, 4000]).astype(np.uint8).reshape(SHAPE)
    text = printed([replace(pair, reference=write_raster("strips.tif", labels))])
    assert "boundary within" not in text
    assert "boundaries are not scored: in the reference, no cropland pixel is next to a pixel of class other" in text
    assert "boundaries are not scored" not in printed([pair])


def test_calibration_is_printed_with_a_probability_map(pair: Pair, write_raster: WriteRaster) -> None:
    percent = write_raster("percent.tif", np.full(SHAPE, 50, np.uint8))
    text = printed([replace(pair, probability=percent)])
    assert "probabilities: expected calibration error 0.0938, average precision 0.4062" in text


def test_files_without_a_partner_are_reported(pair: Pair) -> None:
    accuracy = measure_accuracy([pair], EvaluationSettings())
    text = accuracy_text(accuracy, Pairing([pair], ["extra", "more"], ["lone"]))
    assert "2 maps without a partner, first extra" in text
    assert "1 reference without a partner, first lone" in text
