"""Page and chart of the county table."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from seg.evaluation.report.page.frame import page_environment, render_tables
from seg.evaluation.report.page.text import Kind, shown
from seg.evaluation.settings import Language
from seg.evaluation.zones.rows import OUTSIDE, WHOLE
from seg.terminal.text import text_cells

Json = Mapping[str, Any]

CHART_ZONES = 40
"""Largest number of zones in the chart; more bars would not fit on a page."""

WIDTH, RIGHT = 960.0, 840.0
"""Width of the chart, and the right end of its axis, in pixels."""

_TOP, _STEP = 10.0, 22.0
_CELL = 7.0
"""Width of a cell of text in pixels. A Latin letter takes one cell, a Chinese character two."""

_MOST_TICKS = 6
_LONGEST_NAME = 26

COLUMNS: tuple[tuple[str, Kind], ...] = (
    ("cropland_ha", "hectares"),
    ("cropland_mu", "hectares"),
    ("cropland_share", "percent"),
    ("parcels", "count"),
    ("mapped_ha", "hectares"),
    ("unmapped_ha", "hectares"),
    ("points", "count"),
    ("estimated_ha", "hectares"),
    ("ma", "percent"),
    ("lr", "percent"),
    ("cr", "percent"),
    ("iou", "score"),
)
"""Columns of the page and the kind of their figures. The page leaves out columns that are empty or 0 in all rows; CSV
and workbook have all columns."""


@dataclass(frozen=True)
class Bar:
    """A bar of the chart.

    Attributes:
        name: Name of the zone, shortened.
        text: Mapped hectares as text.
        y: Upper edge of the bar in pixels.
        width: Length of the bar in pixels.
        after: Left end in pixels of the text, which follows the bar and the interval.
        estimate: Horizontal position of the estimate in pixels; None without an estimate.
        low: Position of the lower end of the interval; None without an estimate.
        high: Position of the upper end of the interval; None without an estimate.
    """

    name: str
    text: str
    y: float
    width: float
    after: float
    estimate: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Tick:
    """A line of the axis: its position in pixels and its text."""

    x: float
    text: str


def render_chart(content: Json, language: Language) -> str:
    """Render the chart as SVG: mapped and estimated cropland of the zones with the most mapped cropland.

    Args:
        content: Content of `zones.json`.
        language: Language of title and axis.
    """
    rows = _charted(content)
    most = max((max(row["cropland_ha"], row.get("high_ha") or 0) for row in rows), default=0.0) or 1.0
    step = _tick_step(most)
    widest = max((text_cells(_shortened(str(row["zone"]))) for row in rows), default=0)
    axis = _Axis(24 + _CELL * widest, step * math.ceil(most / step))
    bars = [_bar(row, _TOP + _STEP * place, axis) for place, row in enumerate(rows)]
    bottom = _TOP + _STEP * len(rows) + 4
    ticks = [Tick(axis.x(step * number), f"{step * number:,.10g}") for number in range(round(axis.end / step) + 1)]
    template = page_environment(language, {}).get_template("zones_chart.svg.j2")
    return template.render(
        bars=bars,
        ticks=ticks,
        width=WIDTH,
        height=bottom + 46,
        left=axis.left,
        right=RIGHT,
        top=_TOP - 4,
        bottom=bottom,
    )


def render_zones(content: Json, chart: str, language: Language) -> str:
    """Render the page as self-contained HTML.

    Args:
        content: Content of `zones.json`.
        chart: The chart as SVG.
        language: Language of the page.
    """
    zones = [row for row in content["rows"] if row["zone"] not in (OUTSIDE, WHOLE)]
    return render_tables(
        "zones.html.j2",
        language,
        {"zones": content},
        chart=Markup(re.sub(r'(?<=viewBox=)("[^"]*") width="[^"]*" height="[^"]*"', r"\1", chart, count=1)),
        columns=[(name, kind) for name, kind in COLUMNS if any(row.get(name) for row in content["rows"])],
        cautions=[row for row in zones if row["cautions"]],
        cut=sum(bool(row["cut"]) for row in zones),
        outside_name=OUTSIDE,
        whole_name=WHOLE,
        shown=min(len(zones), CHART_ZONES),
    )


def _charted(content: Json) -> Sequence[Json]:
    zones = [row for row in content["rows"] if row["zone"] not in (OUTSIDE, WHOLE)]
    return sorted(zones, key=lambda row: -float(row["cropland_ha"]))[:CHART_ZONES]


def _tick_step(most: float) -> float:
    """Distance between ticks: 1, 2 or 5 times a power of ten, so that at most _MOST_TICKS ticks lie above 0."""
    power = 10.0 ** math.floor(math.log10(most / _MOST_TICKS))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * _MOST_TICKS >= most)


def _bar(row: Json, y: float, axis: "_Axis") -> Bar:
    mapped = float(row["cropland_ha"])
    right = axis.x(mapped)
    ends = [None if row.get(key) is None else axis.x(float(row[key])) for key in ("estimated_ha", "low_ha", "high_ha")]
    return Bar(
        _shortened(str(row["zone"])),
        shown(mapped, "hectares"),
        y,
        round(right - axis.left, 1),
        max(right, ends[2] or 0.0) + 6,
        *ends,
    )


@dataclass(frozen=True)
class _Axis:
    """Horizontal axis from 0 hectares, at `left`, to `end` hectares, at RIGHT."""

    left: float
    end: float

    def x(self, hectares: float) -> float:
        return round(self.left + (RIGHT - self.left) * hectares / self.end, 1)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
