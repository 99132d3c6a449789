"""Map one or many scenes with the same models, and report the results."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seg.errors import IncompleteError, NoOverlapError, SegError
from seg.inference.compute.choose_backend import open_backend
from seg.inference.compute.member import MODEL, Member, require_alike
from seg.inference.compute.predictor import Predictor
from seg.inference.feature_layers import layers_of, require_layers, write_layers
from seg.inference.identity import discard_leftovers, is_finished
from seg.inference.inputs import Job, jobs_of
from seg.inference.planning.fitting import fit_scene
from seg.inference.progress import predict_with_progress
from seg.inference.scene import TILE_CACHE
from seg.inference.screening.applying import chosen_screener
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.package.features import read_features
from seg.package.read import read_package
from seg.raster.folder import Inputs
from seg.raster.gdal_options import gdal_options
from seg.raster.grid import read_grid
from seg.raster.remote import shown_name, stem_of
from seg.terminal.text import counted


@dataclass
class Tally:
    """Results of a batch of scenes so far.

    Attributes:
        total: Number of scenes.
        mapped: Number of scenes that were mapped.
        kept: Number of scenes whose maps were kept from an earlier run with the same models and settings.
        outside: Number of scenes without a pixel in the area.
        failed: Scenes that could not be mapped, and the error of each scene.
    """

    total: int
    mapped: int = 0
    kept: int = 0
    outside: int = 0
    failed: list[tuple[Path, Exception]] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {
            "mapped": self.mapped,
            "kept": self.kept,
            "outside the area": self.outside,
            "failed": len(self.failed),
        }
        return f"{counted(self.total, 'scene')}: " + ", ".join(f"{n} {what}" for what, n in counts.items() if n)


def predict(
    models: Sequence[Path],
    inputs: Inputs,
    output: Path,
    settings: PredictionSettings,
    compute: ComputeSettings,
) -> None:
    """Map all scenes of the inputs; the models are loaded once.

    Args:
        models: Folders of model packages.
        inputs: The scenes.
        output: A file for one scene, a folder for several.
        settings: Settings of the prediction.
        compute: Library, device, threads and precision.

    Raises:
        IncompleteError: There are several scenes, and some could not be mapped; all others were mapped.
        SegError: An argument is invalid, or the only scene cannot be mapped.
    """
    jobs = jobs_of(inputs, output, settings.uncertainty, settings.screen)
    if not inputs.several and jobs[0].make is None:
        read_grid(jobs[0].scene)  # An unreadable scene is reported before the model is loaded.
    predictor = load_predictor(models, settings, compute)
    with gdal_options(TILE_CACHE):
        if inputs.several:
            map_each(jobs, predictor, settings)
        else:
            _map(jobs[0], predictor, settings, stem_of(jobs[0].scene))


def map_each(jobs: Sequence[Job], predictor: Predictor, settings: PredictionSettings) -> Tally:
    """Map scenes one after the other; a scene that fails does not stop the others.

    Args:
        jobs: The scenes and their outputs.
        predictor: Models and augmentation.
        settings: Settings of the prediction.

    Returns:
        Results of all scenes.

    Raises:
        IncompleteError: Some scenes could not be mapped.
        NoOverlapError: No scene has a pixel in the area.
        KeyboardInterrupt: The run was interrupted; the message gives the number of finished scenes.
    """
    tally = Tally(len(jobs))
    for number, job in enumerate(jobs, start=1):
        try:
            mapped = _map(job, predictor, settings, f"{stem_of(job.scene)} ({number} of {len(jobs)})")
            tally.mapped += mapped
            tally.kept += not mapped
        except NoOverlapError as error:
            tally.outside += 1
            print(f"skipped: {reason(job.scene, error)}", file=sys.stderr)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(interrupted(interrupt, tally, settings)) from interrupt
        except Exception as error:  # even a bug must not stop the other scenes
            tally.failed.append((job.scene, error))
            print(f"failed: {reason(job.scene, error)}", file=sys.stderr)
    finish_tally(tally, settings)
    return tally


def finish_tally(tally: Tally, settings: PredictionSettings) -> None:
    """Print the results of a batch of scenes.

    Args:
        tally: Results of all scenes.
        settings: Settings of the prediction.

    Raises:
        IncompleteError: Some scenes could not be mapped.
        NoOverlapError: No scene has a pixel in the area.
    """
    print(tally, flush=True)
    if tally.outside == tally.total:
        raise NoOverlapError(f"area {settings.area}: no scene has a pixel in this area; check the CRS of the area")
    if tally.failed:
        _print_failures(tally)
        raise IncompleteError(
            f"{len(tally.failed)} of {counted(tally.total, 'scene')} could not be mapped; correct the problems listed "
            "above and repeat the command"
        ) from tally.failed[0][1]


def _map(job: Job, predictor: Predictor, settings: PredictionSettings, name: str) -> bool:
    """Map a scene and return True; return False if maps of the same run exist and are kept."""
    if job.make is not None:
        job.make()
    scene = fit_scene(job.scene, predictor, settings)
    if settings.existing == "skip" and not settings.restart and is_finished(job.output, scene.identity):
        discard_leftovers(job.output, scene.identity)
        print(
            f"{job.output}: kept, since it is from a run with the same scene, models and settings; "
            "--existing=overwrite maps the scene again",
            flush=True,
        )
        for path in write_layers(scene, job.output, predictor, layers_of(settings)):
            print(f"{path}: written beside the kept maps", flush=True)
        return False
    predict_with_progress(scene, job.output, predictor, settings, name)
    return True


def _print_failures(tally: Tally) -> None:
    print("could not be mapped:", file=sys.stderr)
    for scene, error in tally.failed:
        print(f"  {reason(scene, error)}", file=sys.stderr)


def reason(scene: Path, error: Exception) -> str:
    """One line with the name of a scene and the reason why it was not mapped.

    Args:
        scene: The scene.
        error: The reason.
    """
    said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    kind = "" if isinstance(error, SegError | OSError) else f"{type(error).__name__} (unexpected): "
    line = " ".join(f"{kind}{said}".split())
    return line if stem_of(scene) in line else f"{shown_name(scene)}: {line}"


def interrupted(interrupt: KeyboardInterrupt, tally: Tally, settings: PredictionSettings) -> str:
    """Message of an interrupted batch of scenes, with the number of finished scenes.

    Args:
        interrupt: The interrupt, with a message if a scene was begun.
        tally: Results so far.
        settings: Settings of the prediction.
    """
    done = tally.mapped + tally.kept
    said = f"{str(interrupt) or 'interrupted; repeat the command to continue'}; {done} of {tally.total} scenes are done"
    return said if settings.existing == "skip" or not done else f"{said}; --existing=skip keeps their maps"


def load_predictor(folders: Sequence[Path], settings: PredictionSettings, compute: ComputeSettings) -> Predictor:
    """Load one model package, or several packages whose probabilities are averaged.

    Args:
        folders: Folders of the packages.
        settings: Test-time augmentation, uncertainty and interior.
        compute: Library, device, threads and precision.

    Raises:
        PackageError: A package is damaged, cannot be averaged with the first package, or cannot be computed with the
            chosen library.
        ConfigError: The device is unknown or absent, a model lacks the boundary head that the interior needs, or the
            uncertainty would be computed from a single view of a single model.
        PackageError: The scene should be screened, but no package has a fitting screener.
    """
    packages = [read_package(folder) for folder in folders]
    names = [str(folder) for folder in folders] if len(folders) > 1 else [MODEL]
    require_alike(names, packages)
    members = [
        Member(open_backend(folder, package, compute, settings.interior), package, name, read_features(folder, package))
        for folder, package, name in zip(folders, packages, names, strict=True)
    ]
    screener = chosen_screener(folders, packages) if settings.screen else None
    predictor = Predictor(members, settings.tta, settings.uncertainty, screener)
    require_layers(predictor, layers_of(settings))
    return predictor
