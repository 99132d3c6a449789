"""Report of an adaptation: text, JSON, and pictures of three windows before and after the adaptation."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg.files import SOFTWARE, write_json
from seg.labels import IGNORE
from seg.places.adapting import Adapted, Bytes
from seg.raster.grid import open_raster
from seg.raster.pictures.composite import read_composite
from seg.raster.pictures.figures import FRAME_COLOUR, new_figure, save_figure
from seg.terminal.text import counted, text_table

JSON, PICTURE = "adaptation.json", "adaptation.png"
"""Files of the report in the new package."""

PANEL, GAP, TITLE, TOP = 256, 16, 24, 40
"""Sizes in pixels of the picture."""

EMPTY = (0.82, 0.82, 0.88, 1.0)


def write_report(adapted: Adapted, folder: Path) -> None:
    """Write the report into the folder of the new package.

    Raises:
        WriteError: A file cannot be written.
        RasterError: A scene cannot be read again.
    """
    write_json(report_values(adapted), folder / JSON)
    _draw(adapted, folder / PICTURE)


def report_values(adapted: Adapted) -> dict[str, object]:
    """The report as plain values."""
    parent, package = adapted.parent, adapted.package
    return {
        "software": SOFTWARE,
        "model": {"parent_sha256": parent.weights_sha256, "weights_sha256": package.weights_sha256},
        "scenes": len(adapted.place.grids),
        "windows": len(adapted.windows),
        "bands": [
            {"band": band, "mean": list(means), "std": list(deviations)}
            for band, means, deviations in zip(
                package.bands,
                zip(parent.mean, package.mean, strict=True),
                zip(parent.std, package.std, strict=True),
                strict=True,
            )
        ],
        "norms": [asdict(movement) for movement in adapted.movements],
        "cropland_share": [mapped_share(maps, parent.threshold) for maps in (adapted.before, adapted.after)],
        "changed_share": changed_share(adapted.before, adapted.after, parent.threshold),
    }


def report_text(adapted: Adapted) -> str:
    """The report for a terminal."""
    parent, package = adapted.parent, adapted.package
    rows = [
        [name or f"band {band}", *(f"{value:.5g}" for value in values)]
        for name, band, *values in zip(
            package.band_names, package.bands, parent.mean, package.mean, parent.std, package.std, strict=True
        )
    ]
    lines = [text_table(["band", "mean before", "after", "deviation before", "after"], rows)]
    if adapted.movements:
        moved = [movement.mean for movement in adapted.movements]
        lines.append(
            f"the means of {counted(len(moved), 'norm')} differ by {np.median(moved):.2f} standard deviations "
            f"(median), and by {max(moved):.2f} at most"
        )
    before, after = (mapped_share(maps, parent.threshold) for maps in (adapted.before, adapted.after))
    changed = changed_share(adapted.before, adapted.after, parent.threshold)
    lines.append(f"cropland in the sample: {before:.1%} before, {after:.1%} after; {changed:.1%} of the pixels changed")
    return "\n".join(lines)


def mapped_share(maps: Sequence[Bytes], threshold: float) -> float:
    """Share of the valid pixels whose probability is above a threshold.

    Args:
        maps: Maps in percent, 255 where there is no data; together, they have at least one valid pixel.
        threshold: Probability, 0 to 1.
    """
    valid = sum(int((percent != IGNORE).sum()) for percent in maps)
    return sum(int((percent[percent != IGNORE] > threshold * 100).sum()) for percent in maps) / valid


def changed_share(before: Sequence[Bytes], after: Sequence[Bytes], threshold: float) -> float:
    """Share of valid pixels whose class differs between two sets of percent maps of the same windows."""
    cut = threshold * 100
    valid = sum(int((percent != IGNORE).sum()) for percent in before)
    return sum(int(((one > cut) != (other > cut)).sum()) for one, other in zip(before, after, strict=True)) / valid


def _draw(adapted: Adapted, path: Path) -> None:
    """Draw the image and both maps of the windows with the least, the median and the largest change."""
    cut = adapted.parent.threshold
    changes = [changed_share([one], [other], cut) for one, other in zip(adapted.before, adapted.after, strict=True)]
    order = np.argsort(changes, kind="stable")
    rows = list(dict.fromkeys(int(order[place]) for place in (0, len(order) // 2, len(order) - 1)))
    width, height = 3 * (PANEL + GAP) + GAP, TOP + len(rows) * (PANEL + TITLE + GAP)
    figure = new_figure(width, height)
    for row, number in enumerate(rows):
        top = TOP + row * (PANEL + TITLE + GAP) + TITLE
        for column, (title, picture) in enumerate(_panels(adapted, number)):
            left = GAP + column * (PANEL + GAP)
            box = (left / width, 1 - (top + PANEL) / height, PANEL / width, PANEL / height)
            axes = figure.add_axes(box, xticks=[], yticks=[])
            axes.imshow(picture, interpolation="nearest")
            axes.spines[:].set_color(FRAME_COLOUR)
            axes.set_title(title, fontsize=9, loc="left", pad=4)
    figure.text(GAP / width, 1 - 12 / height, "Least, middle and most changed windows", fontsize=12, va="top")
    save_figure(figure, path)


def _panels(adapted: Adapted, number: int) -> list[tuple[str, npt.NDArray[np.float64]]]:
    sampled = adapted.windows[number]
    window, cut = sampled.window, adapted.parent.threshold
    shape = int(window.height), int(window.width)
    with open_raster(sampled.grid.path) as dataset:
        composite = read_composite(dataset, shape, window, nodata=adapted.place.nodata).colours
    name = sampled.grid.path.name
    panels = [(name if len(name) <= 32 else f"...{name[-29:]}", np.where(composite[..., 3:] > 0, composite, EMPTY))]
    for title, maps in (("before", adapted.before), ("after", adapted.after)):
        percent = maps[number][: shape[0], : shape[1]]
        share = mapped_share([percent], cut)
        panels.append((f"{title}: {share:.0%} cropland", probability_colours(percent)))
    return panels


def probability_colours(percent: Bytes) -> npt.NDArray[np.float64]:
    """(H, W, 4) colours of a percent map: white for 0, dark green for 100, grey without data."""
    share = (percent / 100.0)[..., None]
    colours = (1 - share) * np.array([1.0, 1.0, 1.0, 1.0]) + share * np.array([0.0, 0.35, 0.1, 1.0])
    shown: npt.NDArray[np.float64] = np.where((percent == IGNORE)[..., None], np.array(EMPTY), colours)
    return shown
