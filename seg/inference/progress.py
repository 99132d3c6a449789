"""Print the plan, the progress and the results of one scene."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from seg.inference.compute.predictor import Predictor
from seg.inference.interruption import sigterm_as_interrupt
from seg.inference.planning.fitting import FittedScene
from seg.inference.planning.plan import Plan, Report
from seg.inference.scene import SceneMaps, map_scene
from seg.inference.screening.tally import read_tally
from seg.inference.settings import PredictionSettings
from seg.raster.remote import shown_name
from seg.raster.voids import NO_DATA_FROM
from seg.terminal.progress import progress_bar
from seg.terminal.text import counted


def predict_with_progress(
    scene: FittedScene, output: Path, predictor: Predictor, settings: PredictionSettings, name: str
) -> SceneMaps:
    """Map one scene; print the plan, the progress and the results.

    Args:
        scene: The scene, fitted to the models.
        output: The class map to write.
        predictor: Models and augmentation.
        settings: Settings of the prediction.
        name: Name of the scene beside the progress bar.
    """
    printed = False
    with sigterm_as_interrupt(), progress_on(sys.stderr, name) as advance:

        def report(plan: Plan, done: int) -> None:
            nonlocal printed
            if not printed:
                print_plan(*plan_text(plan, done, predictor, settings))
                printed = True
            advance(plan, done)

        maps = map_scene(scene, output, predictor, settings, report)
    print_result(maps, settings)
    return maps


def print_plan(lines: list[str], notes: list[str]) -> None:
    """Print the text of a plan: lines on standard output, notes on standard error."""
    for line in lines:
        print(line, flush=True)
    for note in notes:
        print(note, file=sys.stderr)


@contextmanager
def progress_on(stream: TextIO, name: str) -> Iterator[Report]:
    """Draw a progress bar if the stream is a terminal.

    The bar shows finished blocks, the speed in megapixels of the scene per second, and the remaining time.

    Args:
        stream: The stream to draw on.
        name: Name of the scene.

    Returns:
        A context with a function to call with the plan and the number of finished blocks.
    """
    measured = Speed()
    with progress_bar(name, stream=stream) as bar:

        def advance(plan: Plan, done: int) -> None:
            speed = measured.text(plan, done)
            bar.move(done, len(plan.blocks), "writing the maps" if done == len(plan.blocks) else speed)

        yield advance


class Speed:
    """Speed in megapixels per second since the first report.

    Args:
        clock: Returns the time in seconds, like `time.monotonic`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def text(self, plan: Plan, done: int) -> str:
        """The speed for the progress bar, for example "0.79 Mpx/s"; empty until a block is finished."""
        self._first = self._first or (self._clock(), done)
        began, before = self._first
        seconds = self._clock() - began
        if done == before or seconds <= 0:
            return ""
        share = (done - before) / len(plan.blocks)
        return f"{share * plan.pixels / seconds / 1e6:.3g} Mpx/s"


def plan_text(plan: Plan, done: int, predictor: Predictor, settings: PredictionSettings) -> tuple[list[str], list[str]]:
    """Text about the plan of a scene: lines for standard output, and notes for standard error.

    Args:
        plan: Plan of the scene.
        done: Number of blocks that an earlier run finished.
        predictor: Models and augmentation.
        settings: Settings of the prediction.
    """
    grid, blocks = plan.grid, counted(len(plan.blocks), "block")
    lines = [
        f"{shown_name(grid.path)}: {grid.width}x{grid.height} pixels in {blocks} of "
        f"{plan.block_size.text(plan.halo)} ({plan.halo_origin}), {plan.redundancy:.2f} computed pixels per mapped "
        f"pixel, about {plan.memory / 2**30:.2g} GiB of memory"
        + (f"; {counted(done, 'block')} already done" if done else "")
    ]
    models, augmentation = len(predictor.members), predictor.augmentation
    if predictor.views > 1:
        lines.append(
            f"averaging {counted(augmentation.views, 'view')} of {counted(models, 'model')}, "
            f"at the cost of {models * augmentation.cost:.3g} plain predictions"
        )
    if models > 1 and settings.threshold is None:
        lines.append(f"threshold {plan.scene.identity.threshold:.4g}, the mean of the models' thresholds")
    if predictor.screener is not None:
        lines.append(f"screening: {predictor.screener}")
    if plan.scene.unlikeness is not None:
        lines.append(f"features: {plan.scene.unlikeness}")
    return lines, _notes(plan, predictor)


def _notes(plan: Plan, predictor: Predictor) -> list[str]:
    notes = []
    if not plan.grid.rectified:
        notes.append(
            "note: the scene is georeferenced only by ground control points or a camera model, so its maps are not "
            "georeferenced; for georeferenced maps, rectify the scene first, for example with gdalwarp"
        )
    unlikeness = plan.scene.unlikeness
    if unlikeness is not None and unlikeness.unlike:
        notes.append(
            f"note: {shown_name(plan.grid.path)} is unlike the training images, so its map may be far worse than the "
            "scores of training say; check the map, adapt the model with scripts/adapt.py, or label some squares here"
        )
    if not predictor.bounded and plan.divided:
        which = "the" if len(predictor.members) == 1 else "a"
        notes.append(
            f"note: {which} model has an unbounded receptive field, so the map depends slightly on the blocks; "
            "a larger --block-size or --halo reduces this"
        )
    return notes


def print_result(maps: SceneMaps, settings: PredictionSettings) -> None:
    """Print the files of a scene's maps, and notes about the problems in its blocks."""
    print(f"{maps.classes}: 0 other, 1 cropland, 255 nodata")
    print(f"{maps.probability}: percent, 255 nodata")
    if maps.uncertainty is not None:
        print(f"{maps.uncertainty}: standard deviation, 100 for 0.5 (the largest possible), 255 nodata")
    if maps.screened is not None:
        print(f"{maps.screened}: 0 computed, 1 screened, 255 nodata; {read_tally(maps.screened)}")
    for path in maps.layers:
        print(f"{path}: written beside the maps")
    if maps.found.damaged_pixels:
        print(
            f"note: {maps.found.damaged_pixels} pixels could not be read and are nodata; the scene is damaged: "
            "download or write it again",
            file=sys.stderr,
        )
    if maps.found.void_found:
        print(
            f"note: the scene has undeclared values of magnitude {NO_DATA_FROM:.0e} or more, which became nodata in "
            "the maps; declare the value, for example with gdal_edit.py -a_nodata -3.4028235e+38",
            file=sys.stderr,
        )
    if maps.found.zero_pixels:
        print(
            f"note: {maps.found.zero_pixels} pixels are 0 in every band and were mapped as data; "
            "if these pixels hold no data, add --nodata=0",
            file=sys.stderr,
        )
    if settings.nodata is not None and maps.found.nodata_unmatched:
        print(f"note: no pixel has the value of --nodata={settings.nodata:.8g}; check the option", file=sys.stderr)
