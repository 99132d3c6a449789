"""Figures drawn without pyplot, which keeps every figure it makes; matplotlib is imported where one is drawn."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seg.files import complete_or_absent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 100
GRID_COLOUR = "#d9d9d9"
TEXT_COLOUR = "#333333"

Pixels = npt.NDArray[np.uint8]


def new_figure(width: int, height: int) -> "Figure":
    """An empty figure of a size in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: "Axes") -> None:
    """Give axes a light grid and no frame above and to the right."""
    axes.grid(color=GRID_COLOUR, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(TEXT_COLOUR)
    axes.tick_params(colors=TEXT_COLOUR)


def rendered(figure: "Figure") -> Pixels:
    """The (H, W, 3) pixels of a figure."""
    content = BytesIO()
    figure.savefig(content, format="rgba", dpi=DPI)
    width, height = figure.canvas.get_width_height()
    pixels = np.frombuffer(content.getvalue(), dtype=np.uint8).reshape(height, width, 4)
    return np.ascontiguousarray(pixels[..., :3])


def write_png(pixels: Pixels, path: Path) -> None:
    """Write (H, W, 3) pixels as a PNG, complete or absent; its folder is made.

    Raises:
        OSError: It cannot be written.
    """
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    with complete_or_absent(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="png", compress_level=3)
