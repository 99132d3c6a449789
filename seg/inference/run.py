"""What the command line of prediction does, with its progress on the terminal."""

import sys
from collections.abc import Sequence
from pathlib import Path

from seg.inference.choice import open_backend
from seg.inference.compute import ComputeSettings
from seg.inference.ensemble import decision_threshold, require_alike
from seg.inference.inputs import Job
from seg.inference.interruption import interrupted_by_termination
from seg.inference.member import MODEL, Member
from seg.inference.plan import Plan, counted
from seg.inference.predictor import Predictor
from seg.inference.progress import progress_on
from seg.inference.scene import SceneMaps, predict_scene
from seg.inference.settings import PredictionSettings
from seg.package.read import read_package
from seg.raster.remote import shown_name


def load_predictor(folders: Sequence[Path], settings: PredictionSettings, compute: ComputeSettings) -> Predictor:
    """The predictor of a model package, or of several whose probabilities are averaged.

    Raises:
        PackageError: A package is damaged, does not go with the first one, or cannot be computed by the library that
            was asked for.
        ConfigError: The device cannot be, a model has no boundary for the interior, or there is nothing that an
            uncertainty could be the spread of.
    """
    packages = [read_package(folder) for folder in folders]
    names = [str(folder) for folder in folders] if len(folders) > 1 else [MODEL]
    require_alike(names, packages)
    members = [
        Member(open_backend(folder, package, compute, settings.interior), package, name)
        for folder, package, name in zip(folders, packages, names, strict=True)
    ]
    return Predictor(members, settings.tta, settings.uncertainty)


def predict_with_progress(job: Job, predictor: Predictor, settings: PredictionSettings, name: str) -> SceneMaps:
    """Map one scene, the plan and the progress shown on standard error.

    Args:
        job: The scene, and the class map to write.
        predictor: The model.
        settings: How it is predicted.
        name: What the progress bar calls it.
    """
    printed = False
    with interrupted_by_termination(), progress_on(sys.stderr, name) as advance:

        def report(plan: Plan, done: int) -> None:
            nonlocal printed
            if not printed:
                _print_plan(plan, done)
                _print_views(predictor, settings)
                _print_notes(plan, predictor)
                printed = True
            advance(plan, done)

        maps = predict_scene(job.scene, job.output, predictor, settings, report)
    _print_result(maps)
    return maps


def _print_plan(plan: Plan, done: int) -> None:
    grid, blocks = plan.grid, counted(len(plan.blocks), "block")
    print(
        f"{shown_name(grid.path)}: {grid.width}x{grid.height} pixels in {blocks} of {plan.block_size}, "
        f"halo {plan.halo} ({plan.halo_origin}), {plan.redundancy:.2f} pixels computed for each one, "
        f"about {plan.memory / 2**30:.2g} GiB of memory" + (f"; {counted(done, 'block')} done already" if done else ""),
        flush=True,
    )


def _print_views(predictor: Predictor, settings: PredictionSettings) -> None:
    models, augmentation = len(predictor.members), predictor.augmentation
    if predictor.views > 1:
        print(
            f"{counted(augmentation.views, 'view')} of {counted(models, 'model')} averaged, "
            f"the cost of {models * augmentation.cost:.3g} plain predictions",
            flush=True,
        )
    if models > 1 and settings.threshold is None:
        print(f"threshold {decision_threshold(predictor.packages):.4g}, the mean of the models' own", flush=True)


def _print_notes(plan: Plan, predictor: Predictor) -> None:
    if not plan.grid.rectified:
        print(
            "note: only ground control points or a camera model say where the scene lies, which its maps do not keep; "
            "rectify it first, such as with gdalwarp, for maps that lie in place",
            file=sys.stderr,
        )
    if not predictor.bounded and len(plan.blocks) > 1:
        which = "the" if len(predictor.members) == 1 else "a"
        print(
            f"note: {which} model sees the whole of a window, so the map depends a little on how the scene is cut; "
            "a larger --block-size or --halo makes that less",
            file=sys.stderr,
        )


def _print_result(maps: SceneMaps) -> None:
    print(f"{maps.classes}: 0 other, 1 cropland, 255 nodata")
    print(f"{maps.probability}: percent, 255 nodata")
    if maps.uncertainty is not None:
        print(f"{maps.uncertainty}: standard deviation in percent of 0.5, 255 nodata")
    if maps.found.damaged_pixels:
        print(
            f"note: {maps.found.damaged_pixels} pixels could not be read and are nodata; the scene is damaged, "
            "so fetch or write it again",
            file=sys.stderr,
        )
    if maps.found.zero_pixels:
        print(
            f"note: {maps.found.zero_pixels} pixels are 0 in every band and were taken as data; "
            "if they are empty, add --nodata=0",
            file=sys.stderr,
        )
