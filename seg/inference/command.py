"""Map one scene, or many with the same models, each on its own."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seg.errors import IncompleteError, NoOverlapError, SegError
from seg.inference.compute.choose_backend import open_backend
from seg.inference.compute.member import MODEL, Member, decision_threshold, require_alike
from seg.inference.compute.predictor import Predictor
from seg.inference.inputs import Job, jobs_of, named_scenes
from seg.inference.planning.fitting import FittedScene, fit_scene
from seg.inference.planning.plan import Plan
from seg.inference.progress import progress_on
from seg.inference.resuming.identity import discard_leftovers, is_finished
from seg.inference.resuming.interruption import interrupted_by_termination
from seg.inference.scene import TILE_CACHE, SceneMaps, map_scene
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.package.read import read_package
from seg.raster.gdal_options import gdal_options
from seg.raster.remote import shown_name, stem_of
from seg.terminal.text import counted


@dataclass
class Tally:
    """What became of the scenes so far.

    Attributes:
        total: Number of scenes.
        mapped: Those that were mapped.
        kept: Those that an earlier run had mapped alike.
        outside: Those without a pixel in the area.
        failed: Why each of the others was not mapped.
    """

    total: int
    mapped: int = 0
    kept: int = 0
    outside: int = 0
    failed: list[tuple[Path, Exception]] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {
            "mapped": self.mapped,
            "kept as they were": self.kept,
            "outside the area": self.outside,
            "failed": len(self.failed),
        }
        return f"{counted(self.total, 'scene')}: " + ", ".join(f"{n} {what}" for what, n in counts.items() if n)


def predict(
    models: Sequence[Path],
    inputs: Sequence[Path],
    output: Path,
    settings: PredictionSettings,
    compute: ComputeSettings,
) -> None:
    """Map all that the inputs name; the models are loaded once.

    Args:
        models: Folders of model packages.
        inputs: Scenes, addresses, folders, patterns or lists.
        output: A file for one scene, a folder for several.
        settings: How scenes are predicted.
        compute: What computes.

    Raises:
        IncompleteError: Some of several scenes could not be mapped; all others are.
        SegError: An argument cannot be, or the only scene cannot be mapped.
    """
    named = named_scenes(inputs)
    jobs = jobs_of(named, output, settings.uncertainty)
    predictor = load_predictor(models, settings, compute)
    with gdal_options(TILE_CACHE):
        if named.several:
            map_each(jobs, predictor, settings)
        else:
            _map(jobs[0], predictor, settings, stem_of(jobs[0].scene))


def map_each(jobs: Sequence[Job], predictor: Predictor, settings: PredictionSettings) -> Tally:
    """What became of the scenes, once each of them was tried.

    Args:
        jobs: The scenes.
        predictor: The model.
        settings: How scenes are predicted.

    Raises:
        IncompleteError: Some could not be mapped.
        NoOverlapError: None has a pixel in the area.
        KeyboardInterrupt: With a message of what is done.
    """
    tally = Tally(len(jobs))
    for number, job in enumerate(jobs, start=1):
        try:
            mapped = _map(job, predictor, settings, f"{stem_of(job.scene)} ({number} of {len(jobs)})")
            tally.mapped += mapped
            tally.kept += not mapped
        except NoOverlapError as error:
            tally.outside += 1
            print(f"left out: {_reason(job.scene, error)}", file=sys.stderr)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(_interrupted(interrupt, tally, settings)) from interrupt
        except Exception as error:  # whatever is wrong with a scene, the others are not to wait for it
            tally.failed.append((job.scene, error))
            print(f"failed: {_reason(job.scene, error)}", file=sys.stderr)
    print(tally, flush=True)
    if tally.outside == tally.total:
        raise NoOverlapError(f"area {settings.area}: no scene has a pixel in it; check that its CRS is right")
    if tally.failed:
        _print_failures(tally)
        raise IncompleteError(
            f"{len(tally.failed)} of {counted(tally.total, 'scene')} could not be mapped; mend what is listed above "
            "and repeat the command"
        ) from tally.failed[0][1]
    return tally


def _map(job: Job, predictor: Predictor, settings: PredictionSettings, name: str) -> bool:
    """Map a scene, unless an earlier run did; whether it was mapped now."""
    scene = fit_scene(job.scene, predictor, settings)
    if settings.existing == "skip" and not settings.restart and is_finished(job.output, scene.identity):
        discard_leftovers(job.output, scene.identity)
        print(f"{job.output}: kept, as the same run made it before; --existing=overwrite makes it again", flush=True)
        return False
    predict_with_progress(scene, job.output, predictor, settings, name)
    return True


def _print_failures(tally: Tally) -> None:
    print("could not be mapped:", file=sys.stderr)
    for scene, error in tally.failed:
        print(f"  {_reason(scene, error)}", file=sys.stderr)


def _reason(scene: Path, error: Exception) -> str:
    """Why a scene was not mapped, in one line that names it."""
    said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    kind = "" if isinstance(error, SegError | OSError) else f"{type(error).__name__} (unexpected): "
    line = " ".join(f"{kind}{said}".split())
    return line if stem_of(scene) in line else f"{shown_name(scene)}: {line}"


def _interrupted(interrupt: KeyboardInterrupt, tally: Tally, settings: PredictionSettings) -> str:
    done = tally.mapped + tally.kept
    said = f"{str(interrupt) or 'interrupted; repeat the command to go on'}; {done} of {tally.total} scenes are done"
    return said if settings.existing == "skip" or not done else f"{said}, which --existing=skip keeps"


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


def predict_with_progress(
    scene: FittedScene, output: Path, predictor: Predictor, settings: PredictionSettings, name: str
) -> SceneMaps:
    """Map one scene, the plan and the progress shown on standard error.

    Args:
        scene: The scene, fitted to the model.
        output: The class map to write.
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

        maps = map_scene(scene, output, predictor, settings, report)
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
