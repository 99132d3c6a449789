"""Comparison of supervised and semi-supervised training at several shares of labelled scenes."""

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from seg.benchmark.reporting import use_threads, write_results
from seg.benchmark.settings import LabelsSettings
from seg.data.dataset.catalogue import Scene, read_catalogue
from seg.data.dataset.manifest import MANIFEST
from seg.errors import ConfigError
from seg.files import complete_or_absent, write_json
from seg.raster.pictures.figures import new_figure, save_figure
from seg.terminal.progress import progress_bar
from seg.terminal.text import text_table
from seg.training.cli import run as train
from seg.training.run.history import read_history

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WAYS = ("supervised", "student")

IMAGES = "images.txt"
"""List of all images outside the held-out fold. If every scene is labelled, these images also serve as unlabelled."""


@dataclass(frozen=True)
class Run:
    """One training of the comparison.

    Attributes:
        way: Method of training, supervised or student.
        share: Share of the scenes outside the held-out fold that are labelled, above 0 and at most 1.
        seed: Seed of the choice of labelled scenes and of the training.
        labelled: Number of labelled scenes.
        scenes: Number of scenes outside the held-out fold.
    """

    way: str
    share: float
    seed: int
    labelled: int
    scenes: int

    @property
    def name(self) -> str:
        """Folder of the run."""
        return f"{self.way}_{100 * self.share:g}_percent_seed_{self.seed}"


def plan_runs(settings: LabelsSettings) -> list[Run]:
    """Trainings in the order in which they run; for each seed and share, one training of each method.

    Raises:
        ConfigError: A share leaves no labelled scene.
        DatasetError: The dataset is damaged.
    """
    training, _ = _split(settings)
    runs = []
    for seed in settings.seeds:
        for share in settings.shares:
            labelled = round(share * len(training))
            if labelled < 1:
                raise ConfigError(
                    f"--shares has {share:g}, which leaves none of {len(training)} scenes labelled; give a larger share"
                )
            runs += [Run(way, share, seed, labelled, len(training)) for way in WAYS]
    return runs


def write_dataset(folder: Path, run: Run, settings: LabelsSettings) -> None:
    """Write the manifest of a run, and the list of its images.

    Held-out scenes are in fold 0, and labelled scenes are in fold 1. All other scenes are listed without a mask, so no
    training can read their masks.

    Args:
        folder: Folder for the manifest, made with its parents.
        run: The training.
        settings: Options of the benchmark.

    Raises:
        OSError: The manifest cannot be written.
    """
    training, held_out = _split(settings)
    order = np.random.default_rng(run.seed).permutation(len(training))
    labelled = {int(place) for place in order[: run.labelled]}
    rows = [_row(scene, 0) for scene in held_out]
    rows += [_row(scene, 1 if place in labelled else None) for place, scene in enumerate(training)]
    folder.mkdir(parents=True, exist_ok=True)
    with complete_or_absent(folder / MANIFEST) as partial:
        partial.write_text("\n".join(["image,mask,fold", *rows, ""]), encoding="utf-8")
    with complete_or_absent(folder / IMAGES) as partial:
        partial.write_text("\n".join(str(scene.image.resolve()) for scene in training), encoding="utf-8")


def _split(settings: LabelsSettings) -> tuple[Sequence[Scene], Sequence[Scene]]:
    """Training scenes, and held-out scenes; scenes of the fold that is set aside are in neither list."""
    scenes = [scene for scene in read_catalogue(settings.root, settings.folds) if scene.fold != settings.aside]
    held_out = [scene for scene in scenes if scene.fold == settings.fold]
    return [scene for scene in scenes if scene.fold != settings.fold], held_out


def _row(scene: Scene, fold: int | None) -> str:
    image, mask = (f'"{path.resolve()}"' for path in (scene.image, scene.mask))
    return f"{image},{'' if fold is None else mask},{'' if fold is None else fold}"


RESULT, SETTINGS, DATASET, TRAINING = "result.json", "settings.json", "data", "run"
SCORE = "val/iou"
RISE = 0.2
"""Share of a semi-supervised training over which the weight of the unlabelled loss rises."""


@dataclass(frozen=True)
class Result:
    """A finished training.

    Attributes:
        run: The training.
        iou: IoU of cropland on the held-out fold at the last step, 0 to 1.
        seconds: Duration of the training since its last start.
    """

    run: Run
    iou: float
    seconds: float


def compare_labels(settings: LabelsSettings, folder: Path) -> list[Result]:
    """Train and score every run that has no result in the folder yet, and return all results.

    Args:
        settings: Options of the benchmark.
        folder: Folder of the runs; a folder with runs of other settings is refused.

    Raises:
        ConfigError: The folder holds runs of other settings, or an option of a training is wrong.
        DatasetError: The dataset is damaged.
    """
    runs = plan_runs(settings)
    _claim(folder, settings)
    use_threads(settings.threads)
    results = []
    with progress_bar("trainings", len(runs)) as bar:
        for run in runs:
            results.append(_result(run, folder / run.name, settings))
            bar.step()
    return results


def training_words(run: Run, folder: Path, settings: LabelsSettings) -> list[str]:
    """Command line of a training. The training has one long epoch, so held-out labels are read only at the end.

    Args:
        run: The training.
        folder: Folder of the training.
        settings: Options of the benchmark.
    """
    batches = settings.steps * settings.batches
    config = settings.student if run.way == "student" else settings.supervised
    words = [
        f"--config={config}",
        f"--data.root={folder / DATASET}",
        "--data.folds=2",
        "--data.fold=0",
        f"--data.chips.size={settings.chip}",
        f"--data.chips.per_epoch={batches}",
        f"--seed_everything={run.seed}",
        f"--trainer.default_root_dir={folder / TRAINING}",
        "--trainer.max_epochs=1",
        f"--trainer.accumulate_grad_batches={settings.batches}",
        "--trainer.enable_progress_bar=false",
        "--last_checkpoint.every_minutes=3",
        *settings.both,
    ]
    if run.way == "student":
        unlabelled = folder / DATASET / IMAGES if run.labelled == run.scenes else "null"
        # The configuration counts its warm-up in epochs, but this training has only one epoch.
        words += [f"--data.unlabelled={unlabelled}", f"--warmup_loss.epochs={RISE}", *settings.taught]
    if (folder / TRAINING / "checkpoints" / "last.ckpt").is_file():
        words.append("--ckpt_path=last")
    return ["fit", *words]


def _result(run: Run, folder: Path, settings: LabelsSettings) -> Result:
    path = folder / RESULT
    if not path.is_file():
        write_dataset(folder / DATASET, run, settings)
        with contextlib.redirect_stdout(io.StringIO()):
            train(training_words(run, folder, settings))
        record = json.loads((folder / TRAINING / "run.json").read_text(encoding="utf-8"))
        scores = read_history(folder / TRAINING).series.get(SCORE, [])
        if not scores:
            raise ConfigError(f"{folder / TRAINING}: has no {SCORE}; delete the folder and run the benchmark again")
        write_json({"iou": scores[-1][1], "seconds": record["duration_s"]}, path)
    found = json.loads(path.read_text(encoding="utf-8"))
    return Result(run, float(found["iou"]), float(found["seconds"]))


def _claim(folder: Path, settings: LabelsSettings) -> None:
    """Write the settings into the folder, or compare them with the settings of an earlier start."""
    wanted = settings.fixed()
    path = folder / SETTINGS
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        other = sorted(name for name in wanted if found.get(name) != wanted[name])
        if other:
            raise ConfigError(
                f"{folder}: holds trainings with other settings ({', '.join(other)}); name another folder, "
                "or delete this one"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(wanted, path)


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
