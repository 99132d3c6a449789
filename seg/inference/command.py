"""Map one scene, or many with the same models, each on its own."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seg.errors import IncompleteError, NoOverlapError, SegError
from seg.inference.compute import ComputeSettings
from seg.inference.finished import discard_leftovers, is_finished
from seg.inference.inputs import Job, jobs_of, named_scenes
from seg.inference.layers import MapLayers
from seg.inference.plan import counted
from seg.inference.predictor import Predictor
from seg.inference.run import load_predictor, predict_with_progress
from seg.inference.settings import PredictionSettings
from seg.raster.remote import shown_name, stem_of


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
    jobs = jobs_of(named, output, MapLayers(0, settings.uncertainty))
    predictor = load_predictor(models, settings, compute)
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
    if settings.existing == "skip" and not settings.restart and is_finished(job, predictor, settings):
        discard_leftovers(job, predictor, settings)
        print(f"{job.output}: kept, as the same run made it before; --existing=overwrite makes it again", flush=True)
        return False
    predict_with_progress(job, predictor, settings, name)
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
