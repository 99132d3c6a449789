"""Report on supervised and semi-supervised training: a table, a JSON file and a picture."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from seg.benchmark.labels.compare import Result, compare_labels
from seg.benchmark.labels.plan import WAYS
from seg.benchmark.reporting import write_results
from seg.benchmark.settings import LabelsSettings
from seg.raster.pictures.figures import new_figure, save_figure
from seg.terminal.text import text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPORT, PICTURE = "labels.json", "labels.png"
COLOURS = {"supervised": "#1b6ca8", "student": "#e66101"}
NAMES = {"supervised": "labels alone", "student": "labels and unlabelled scenes"}


def benchmark_labels(settings: LabelsSettings, output: Path) -> None:
    """Run the benchmark, print its table, and write the table's figures and a picture.

    Args:
        settings: Options of the benchmark.
        output: Folder for runs, `labels.json` and `labels.png`.

    Raises:
        ConfigError: The folder holds runs of other settings, or an option of a training is wrong.
        DatasetError: The dataset is damaged.
    """
    results = compare_labels(settings, output)
    print(text_of(results))
    write_results({"settings": settings.fixed(), "runs": [asdict(result) for result in results]}, output / REPORT)
    save_figure(draw_labels(results), output / PICTURE)


def text_of(results: Sequence[Result]) -> str:
    """Table with a line for each share: mean and range over the seeds for each method, and the gain in points."""
    titles = ["labelled", "scenes", *(f"IoU, {NAMES[way]}" for way in WAYS), "gain in points"]
    rows = []
    for share in sorted({result.run.share for result in results}):
        found = {way: ious_of(results, way, share) for way in WAYS}
        scenes = next(result.run.labelled for result in results if result.run.share == share)
        gain = 100 * (mean(found["student"]) - mean(found["supervised"]))
        rows.append([f"{share:.0%}", str(scenes), *(_spread(found[way]) for way in WAYS), f"{gain:+.1f}"])
    return text_table(titles, rows)


def ious_of(results: Sequence[Result], way: str, share: float) -> list[float]:
    """IoU of a method at a share, one value for each seed."""
    return [result.iou for result in results if (result.run.way, result.run.share) == (way, share)]


def draw_labels(results: Sequence[Result]) -> "Figure":
    """Draw IoU over the share of labelled scenes: mean and range over the seeds for each method."""
    figure = new_figure(760, 520)
    axes = figure.add_axes((0.1, 0.12, 0.86, 0.8))
    shares = sorted({result.run.share for result in results})
    for way in WAYS:
        found = [ious_of(results, way, share) for share in shares]
        places = [100 * share for share in shares]
        low, high = ([end(each) for each in found] for end in (min, max))
        axes.fill_between(places, low, high, color=COLOURS[way], alpha=0.2)
        axes.plot(places, [mean(each) for each in found], "o-", color=COLOURS[way], linewidth=2, label=NAMES[way])
    axes.set_xlabel("Labelled scenes in percent")
    axes.set_ylabel("IoU of cropland on the held-out fold")
    axes.set_title("Mean and range over seeds", fontsize=11, loc="left")
    axes.grid(color="#d9d9d9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    return figure


def _spread(ious: Sequence[float]) -> str:
    single = f"{mean(ious):.3f}"
    return single if len(ious) == 1 else f"{single} ({min(ious):.3f} to {max(ious):.3f})"
