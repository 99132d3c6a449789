import numpy as np
import pytest

from seg.calibration.curves import precision_recall_curve, reliability_curve
from seg.calibration.histogram import BINS, CENTRES, EDGES
from seg.calibration.scaling import sigmoid
from seg.training.pictures.figures import rendered
from seg.training.pictures.score_curves import draw_precision_recall, draw_reliability


def separable() -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    counts = np.zeros((2, BINS), dtype=np.int64)
    counts[0, BINS // 4], counts[1, 3 * BINS // 4], counts[0, 3 * BINS // 4] = 60, 30, 10
    return counts


def test_the_marked_point_has_the_scores_of_the_threshold() -> None:
    figure = draw_precision_recall(precision_recall_curve(separable(), sigmoid(EDGES)), 0.5, "epoch 1")
    [legend] = figure.axes[0].get_legend().get_texts()
    assert legend.get_text() == "threshold 0.5: precision 0.750, recall 1.000"
    assert rendered(figure).std() > 0


def test_reliability_shows_only_filled_bins_and_the_calibration_error() -> None:
    figure = draw_reliability(reliability_curve(separable(), sigmoid(CENTRES)), "epoch 1")
    lines = figure.axes[0].get_lines()
    assert lines[1].get_xdata() == pytest.approx([0, 1], abs=1e-3)
    assert list(lines[1].get_ydata()) == [0, 0.75]
    assert "calibration error 0.100" in " ".join(text.get_text() for text in figure.axes[0].get_legend().get_texts())
    assert rendered(figure).std() > 0


def test_an_empty_validation_still_gives_a_picture_with_axes() -> None:
    counts = np.zeros((2, BINS), dtype=np.int64)
    assert rendered(draw_reliability(reliability_curve(counts, sigmoid(CENTRES)), "none")).std() > 0
    assert rendered(draw_precision_recall(precision_recall_curve(counts, sigmoid(EDGES)), 0.5, "none")).std() > 0
