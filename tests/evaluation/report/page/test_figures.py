import pytest

from seg.evaluation.report.page.figures import (
    MISSING,
    Figures,
    Kind,
    shown,
)

FIGURES = Figures({"accuracy": {"scores": {"iou": {"value": 0.12345, "low": None}}, "worst": [{"errors": 3}]}}, " %")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.95885, "score", "0.959"),
        (-0.5, "score", "\N{MINUS SIGN}0.500"),
        (0.9767, "percent", "97.7%"),
        (0.0001, "percent", "<0.1%"),
        (0, "percent", "0.0%"),
        (1234567, "count", "1,234,567"),
        (21158.2, "hectares", "21,158"),
        (12.34, "hectares", "12.3"),
        (10.0, "metres", "10"),
        (0.5, "plain", "0.5"),
    ],
)
def test_numbers_have_the_digits_that_a_reader_wants(value: float, kind: Kind, text: str) -> None:
    assert shown(value, kind) == text


def test_number_names_its_place_and_keeps_its_value() -> None:
    expected = '<data data-path="accuracy.scores.iou.value" value="0.12345">12.3 %</data>'
    assert FIGURES.num("accuracy.scores.iou.value", "percent") == expected


@pytest.mark.parametrize("path", ["accuracy.scores.iou.low", "accuracy.scores.mcc.value", "accuracy.worst.7.errors"])
def test_undefined_numbers_are_a_dash(path: str) -> None:
    assert FIGURES.at(path) is None
    assert f">{MISSING}<" in FIGURES.num(path)


def test_places_in_lists_count_from_0() -> None:
    assert FIGURES.at("accuracy.worst.0.errors") == 3
