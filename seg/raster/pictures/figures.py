"""Figures of rasters: panels in a row above a legend. Pyplot is not used, since it keeps every figure in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seg.files import SOFTWARE, complete_or_absent
from seg.labels import LABEL_COLOURS

if TYPE_CHECKING:  # The import of matplotlib is slow, so it is imported where a figure is drawn.
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

DPI = 100
FRAME_COLOUR = "#9e9e9e"


@dataclass(frozen=True)
class RowLayout:
    """Space around the panels of a row, in pixels.

    Attributes:
        gap: Space between panels, and beside the first and the last panel.
        top: Space above the panels.
        bottom: Space below the panels.
        narrowest: Smallest width of a column, so that titles of narrow panels fit.
    """

    gap: int
    top: int
    bottom: int
    narrowest: int


def new_figure(width: float, height: float) -> "Figure":
    """Empty white figure of a size in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def panel_row(count: int, height: float, width: float, layout: RowLayout) -> tuple["Figure", list["Axes"]]:
    """Figure of empty panels of one size in a row.

    Args:
        count: Number of panels.
        height: Height of a panel in pixels.
        width: Width of a panel in pixels.
        layout: Space around the panels.
    """
    column = max(width, layout.narrowest)
    total_width, total_height = count * (column + layout.gap) + layout.gap, height + layout.top + layout.bottom
    figure = new_figure(total_width, total_height)
    for place in range(count):
        left = layout.gap + place * (column + layout.gap) + (column - width) // 2
        box = (left / total_width, layout.bottom / total_height, width / total_width, height / total_height)
        figure.add_axes(box, xticks=[], yticks=[]).spines[:].set_color(FRAME_COLOUR)
    return figure, list(figure.axes)


def label_patches(names: Mapping[int, str]) -> list["Patch"]:
    """Legend entries of labels in their display colours.

    Args:
        names: Text of each entry by label.
    """
    from matplotlib.patches import Patch

    patches = []
    for label, text in names.items():
        red, green, blue, opacity = LABEL_COLOURS[label]
        colour = red / 255, green / 255, blue / 255, opacity / 255
        patches.append(Patch(facecolor=colour, edgecolor=FRAME_COLOUR, label=text))
    return patches


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as a PNG, atomically; the same figure gives the same bytes.

    Raises:
        WriteError: The file cannot be written.
    """
    with complete_or_absent(path) as temporary:
        # The file names this software, not matplotlib, so that later runs may replace the file
        # (`seg.raster.sources.require_replaceable`).
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": SOFTWARE})
