"""What the command line of prediction does, with its progress on the terminal."""

import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from seg.inference.backends import TorchBackend, use_threads
from seg.inference.plan import Plan, PredictionSettings
from seg.inference.predictor import Predictor
from seg.inference.scene import SceneMaps, predict_scene
from seg.package import read_package
from seg.raster.store import partial_folder


def load_predictor(folder: Path, settings: PredictionSettings, device: str, threads: int) -> Predictor:
    """The predictor of a model package.

    Raises:
        PackageError: The package is damaged.
        ConfigError: Device, threads or scales cannot be.
    """
    use_threads(threads)
    package = read_package(folder)
    return Predictor(TorchBackend(folder, package, device), package, settings.tta)


def predict_with_progress(
    scene: Path, output: Path, predictor: Predictor, settings: PredictionSettings, restart: bool = False
) -> SceneMaps:
    """Map one scene, the plan and the progress shown on standard error.

    Args:
        scene: The raster.
        output: The class map to write.
        predictor: The model.
        settings: How it is predicted.
        restart: Discard the finished blocks of an earlier run first.
    """
    if restart and partial_folder(output).is_dir():
        shutil.rmtree(partial_folder(output))
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(scene.name, total=None)

        def report(plan: Plan, done: int) -> None:
            if progress.tasks[task].total is None:
                _print_plan(plan, done)
            progress.update(task, total=len(plan.blocks), completed=done)

        maps = predict_scene(scene, output, predictor, settings, report)
    _print_result(maps, predictor, settings)
    return maps


def _print_plan(plan: Plan, done: int) -> None:
    grid = plan.grid
    print(
        f"{grid.path}: {grid.width}x{grid.height} pixels in {len(plan.blocks)} blocks of {plan.block_size}, "
        f"halo {plan.halo}, {plan.redundancy:.2f} pixels computed for each one"
        + (f"; {done} blocks are done already" if done else "")
    )


def _print_result(maps: SceneMaps, predictor: Predictor, settings: PredictionSettings) -> None:
    print(f"{maps.classes}: 0 other, 1 cropland, 255 nodata")
    print(f"{maps.probability}: percent, 255 nodata")
    if maps.zero_pixels:
        print(
            f"note: {maps.zero_pixels} pixels are 0 in every band and were taken as data; "
            "if they are empty, add --nodata=0",
            file=sys.stderr,
        )
