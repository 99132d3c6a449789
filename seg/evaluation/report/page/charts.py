"""SVG coordinates of charts: precision-recall curve, reliability curve, and scores with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LEFT, TOP, WIDTH, HEIGHT = 46.0, 10.0, 300.0, 250.0
"""Position and size of the axes, which run from 0 to 1, in a drawing of 360 by 310 units."""

HISTOGRAM_HEIGHT = 46.0
DOTS = 101
"""Largest number of points of a curve that show their values under the pointer; more points would overlap."""

TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Dot:
    """A point of a curve: its position, and the JSON entry that it shows."""

    x: float
    y: float
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram: its left edge, top edge and size, and the JSON entry that it shows."""

    x: float
    y: float
    width: float
    height: float
    entry: Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """A line, its points, and the bars below it."""

    points: str
    dots: list[Dot]
    bars: list[Bar]


@dataclass(frozen=True)
class Span:
    """A value with its interval, as positions on a line from 0 (left) to 1 (right); None if undefined."""

    value: float | None
    low: float | None
    high: float | None


def place_x(share: float) -> float:
    """Horizontal position of a share from 0 to 1."""
    return round(LEFT + WIDTH * share, 2)


def place_y(share: float) -> float:
    """Vertical position of a share from 0 to 1."""
    return round(TOP + HEIGHT * (1 - share), 2)


def precision_recall_line(entries: Sequence[Mapping[str, Any]]) -> Curve:
    """Precision over recall, in the order of the thresholds; undefined points are left out.

    Args:
        entries: Points with threshold, precision and recall.
    """
    defined = [entry for entry in entries if entry["precision"] is not None and entry["recall"] is not None]
    dots = [Dot(place_x(entry["recall"]), place_y(entry["precision"]), entry) for entry in defined]
    step = -(-len(dots) // DOTS) or 1
    return Curve(_line(dots), dots[::step], [])


def reliability_line(entries: Sequence[Mapping[str, Any]]) -> Curve:
    """Observed share of cropland over the mean probability; bars show the number of pixels in each bin.

    Args:
        entries: Bins with low, high, pixels, mean_probability and cropland_share.
    """
    filled = [entry for entry in entries if entry["pixels"]]
    dots = [Dot(place_x(entry["mean_probability"]), place_y(entry["cropland_share"]), entry) for entry in filled]
    most = max((entry["pixels"] for entry in filled), default=1)
    return Curve(_line(dots), dots, [_bar(entry, entry["pixels"] / most) for entry in filled])


def spans(scores: Mapping[str, Mapping[str, float | None]]) -> tuple[float, dict[str, Span]]:
    """Scores with their intervals on a common scale that ends at 1.

    Args:
        scores: Scores by name, each with value, low and high.

    Returns:
        Start of the scale, a multiple of 0.1 below all values, and the spans by name.
    """
    drawn = [number for score in scores.values() for number in score.values() if number is not None]
    start = min((int(10 * min(drawn, default=0.0) // 1) / 10, 0.9)) if drawn else 0.0

    def along(number: float | None) -> float | None:
        return None if number is None else round((number - start) / (1 - start), 4)

    return start, {
        name: Span(along(score["value"]), along(score.get("low")), along(score.get("high")))
        for name, score in scores.items()
    }


def _bar(entry: Mapping[str, Any], share: float) -> Bar:
    left, right = place_x(entry["low"]), place_x(entry["high"])
    height = round(max(share * HISTOGRAM_HEIGHT, 1.0), 2)
    return Bar(left + 1, place_y(0) - height, round(max(right - left - 2, 1.0), 2), height, entry)


def _line(dots: Sequence[Dot]) -> str:
    return " ".join(f"{dot.x:g},{dot.y:g}" for dot in dots)
