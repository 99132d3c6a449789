"""Supervised and student trainings for each share of labelled scenes and each seed; an interrupted run continues."""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

from seg.benchmark.labels.plan import IMAGES, Run, plan_runs, write_dataset
from seg.benchmark.reporting import use_threads
from seg.benchmark.settings import LabelsSettings
from seg.errors import ConfigError
from seg.files import write_json
from seg.terminal.progress import progress_bar
from seg.training.cli import run as train
from seg.training.run.history import read_history

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
    """Command line of a training. It has a single long epoch, so held-out labels are read only at the end.

    Args:
        run: The training.
        folder: Its folder.
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
                f"{folder}: holds trainings with other settings ({', '.join(other)}); name another folder, or delete it"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(wanted, path)
