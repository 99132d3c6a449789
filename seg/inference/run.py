"""What the command line of prediction does, with its progress on the terminal."""

import sys
from pathlib import Path

from seg.inference.choice import open_backend
from seg.inference.compute import ComputeSettings
from seg.inference.plan import Plan, counted
from seg.inference.predictor import Predictor
from seg.inference.progress import progress_on
from seg.inference.scene import SceneMaps, predict_scene
from seg.inference.settings import PredictionSettings
from seg.package.read import read_package


def load_predictor(folder: Path, settings: PredictionSettings, compute: ComputeSettings) -> Predictor:
    """The predictor of a model package.

    Raises:
        PackageError: The package is damaged, or cannot be computed by the library that was asked for.
        ConfigError: Device or scales cannot be, or the model has no boundary for the interior.
    """
    package = read_package(folder)
    return Predictor(open_backend(folder, package, compute, settings.interior), package, settings.tta)


def predict_with_progress(scene: Path, output: Path, predictor: Predictor, settings: PredictionSettings) -> SceneMaps:
    """Map one scene, the plan and the progress shown on standard error.

    Args:
        scene: The raster.
        output: The class map to write.
        predictor: The model.
        settings: How it is predicted.
    """
    if settings.halo == "measure":
        print("measuring how much context the model needs ...", file=sys.stderr)
    printed = False
    with progress_on(sys.stderr, scene.name) as advance:

        def report(plan: Plan, done: int) -> None:
            nonlocal printed
            if not printed:
                _print_plan(plan, done)
                _print_note(plan, predictor)
                printed = True
            advance(plan, done)

        maps = predict_scene(scene, output, predictor, settings, report)
    _print_result(maps)
    return maps


def _print_plan(plan: Plan, done: int) -> None:
    grid = plan.grid
    print(
        f"{grid.path}: {grid.width}x{grid.height} pixels in {counted(len(plan.blocks), 'block')} of {plan.block_size}, "
        f"halo {plan.halo} ({plan.halo_origin}), {plan.redundancy:.2f} pixels computed for each one, "
        f"about {plan.memory / 2**30:.2g} GiB of memory" + (f"; {counted(done, 'block')} done already" if done else ""),
        flush=True,
    )


def _print_note(plan: Plan, predictor: Predictor) -> None:
    if predictor.package.receptive_field is None and len(plan.blocks) > 1:
        print(
            "note: the model sees the whole of a window, so its map depends a little on how the scene is cut; "
            "a larger --block-size or --halo makes that less",
            file=sys.stderr,
        )


def _print_result(maps: SceneMaps) -> None:
    print(f"{maps.classes}: 0 other, 1 cropland, 255 nodata")
    print(f"{maps.probability}: percent, 255 nodata")
    if maps.zero_pixels:
        print(
            f"note: {maps.zero_pixels} pixels are 0 in every band and were taken as data; "
            "if they are empty, add --nodata=0",
            file=sys.stderr,
        )
