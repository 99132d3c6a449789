import pytest

from seg.evaluation.report.page.charts import (
    DOTS,
    place_x,
    place_y,
    precision_recall_line,
    reliability_line,
    spans,
)


def test_undefined_points_are_left_out_of_the_curve() -> None:
    entries = [
        {"threshold": 0.0, "precision": 0.5, "recall": 1.0},
        {"threshold": 0.5, "precision": 1.0, "recall": 0.25},
        {"threshold": 1.0, "precision": None, "recall": 0.0},
    ]
    curve = precision_recall_line(entries)
    assert curve.points == f"{place_x(1):g},{place_y(0.5):g} {place_x(0.25):g},{place_y(1):g}"
    assert [dot.entry["threshold"] for dot in curve.dots] == [0.0, 0.5]


def test_long_curves_have_a_limited_number_of_interactive_points() -> None:
    entries = [{"threshold": i / 1000, "precision": 0.5, "recall": 1 - i / 1000} for i in range(1001)]
    curve = precision_recall_line(entries)
    assert len(curve.dots) <= DOTS
    assert len(curve.points.split()) == 1001


def test_empty_bins_are_not_drawn() -> None:
    entries = [
        {"low": 0.0, "high": 0.5, "pixels": 10, "mean_probability": 0.2, "cropland_share": 0.1},
        {"low": 0.5, "high": 1.0, "pixels": 0, "mean_probability": None, "cropland_share": None},
    ]
    curve = reliability_line(entries)
    assert [(dot.x, dot.y) for dot in curve.dots] == [(place_x(0.2), place_y(0.1))]
    assert [bar.y + bar.height for bar in curve.bars] == [place_y(0)]
    assert reliability_line([]).points == ""


@pytest.mark.parametrize(("value", "start"), [(0.83, 0.8), (0.8, 0.8), (-0.12, -0.2), (1.0, 0.9)])
def test_scale_of_intervals_starts_at_a_tenth_not_above_the_lowest_value(value: float, start: float) -> None:
    found, drawn = spans({"iou": {"value": value, "low": None, "high": None}})
    assert found == pytest.approx(start)
    assert drawn["iou"].value == pytest.approx((value - start) / (1 - start), abs=1e-4)
    assert drawn["iou"].low is None


def test_scale_of_undefined_scores_starts_at_0() -> None:
    assert spans({"iou": {"value": None, "low": None, "high": None}})[0] == 0
