"""Time of a training with Lightning compared with a plain loop that has the same loader, network and loss."""

import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import lightning as L
import torch

from seg.benchmark.reporting import check_results, use_threads, write_results
from seg.benchmark.settings import TrainingSettings
from seg.benchmark.subjects import write_scene
from seg.data.datamodule import CroplandDataModule
from seg.terminal.progress import progress_bar
from seg.terminal.text import number, text_table
from seg.training.cli import run
from seg.training.tasks.cropland import CroplandTask

SIDES = 192, 240, 288, 320
"""Sides of the scenes in pixels, used in turn."""


@dataclass(frozen=True)
class TrainingTimes:
    """Times of epochs in seconds.

    Attributes:
        lightning: Epochs of `scripts/train.py fit` with its defaults, without validation.
        loop: Epochs of a plain loop.
    """

    lightning: tuple[float, ...]
    loop: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Ratio of the medians, Lightning to plain loop."""
        return median(self.lightning) / median(self.loop)


class EpochClock(L.Callback):
    """Record the time from the start of the first epoch to the start of the second epoch, without validation.

    Args:
        path: JSON file for the seconds.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._since = 0.0
        self._seconds = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock in the first epoch; write the total time at the start of the second epoch.

        The total includes the time for writing checkpoints and logs.
        """
        if trainer.current_epoch == 1:
            self._seconds += time.perf_counter() - self._since
            self.path.write_text(json.dumps(self._seconds), encoding="utf-8")
        self._since = time.perf_counter()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock."""
        self._seconds += time.perf_counter() - self._since

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock again."""
        self._since = time.perf_counter()


def measure_training(settings: TrainingSettings) -> TrainingTimes:
    """Time epochs of Lightning and of the plain loop in turn, on synthetic scenes in a temporary folder."""
    use_threads(settings.threads)
    with tempfile.TemporaryDirectory() as folder, progress_bar("Training", 2 * settings.repeats + 2) as bar:
        root = Path(folder) / "data"
        write_dataset(root, settings.scenes)
        ways: tuple[Callable[[Path], float], ...] = (_lightning_epoch, _loop_epoch)
        times: list[list[float]] = [[], []]
        for _ in range(settings.repeats + 1):
            for way, seconds in zip(ways, times, strict=True):
                seconds.append(way(root))
                bar.step()
        # The first epoch of each loop is a warm-up.
        return TrainingTimes(*(tuple(seconds[1:]) for seconds in times))


def write_dataset(root: Path, scenes: int) -> None:
    """Write a dataset folder with the given number of scenes."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for index in range(scenes):
        name = f"{index:03}.tif"
        write_scene(root / "images" / name, root / "masks" / name, SIDES[index % len(SIDES)])


def _lightning_epoch(root: Path) -> float:
    clock, seconds = f"{EpochClock.__module__}.{EpochClock.__qualname__}", root.parent / "seconds.json"
    words = [
        "fit",
        f"--data.root={root}",
        f"--trainer.default_root_dir={root.parent / 'run'}",
        "--trainer.max_epochs=2",
        "--trainer.accelerator=cpu",
        f"--trainer.callbacks={clock}",
        f"--trainer.callbacks.path={seconds}",
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        run(words)
    return float(json.loads(seconds.read_text(encoding="utf-8")))


def _loop_epoch(root: Path) -> float:
    L.seed_everything(0, verbose=False)
    data = CroplandDataModule(root=root)
    data.setup("fit")
    task = CroplandTask(bands=data.band_count)
    task.fill_normalization(data.statistics.mean, data.statistics.std)
    network, loss_function = task.model.train(), task.loss
    loader = data.train_dataloader()
    rate = task.hparams["optimizer"]["learning_rate"]
    optimizer = torch.optim.AdamW(network.parameters(), rate)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(loader))
    start = time.perf_counter()
    for batch in loader:
        optimizer.zero_grad()
        loss_function(network(batch["image"]), batch["mask"]).backward()
        optimizer.step()
        scheduler.step()
    return time.perf_counter() - start


def benchmark_training(settings: TrainingSettings, output: Path | None) -> None:
    """Run the training benchmark and print its report.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: The file cannot be written.
    """
    check_results(output)
    times = measure_training(settings)
    print(text_of(settings, times))
    write_results({"settings": asdict(settings), **asdict(times), "ratio": times.ratio}, output)


def text_of(settings: TrainingSettings, times: TrainingTimes) -> str:
    """Report as text for the terminal."""
    title = (
        f"an epoch of the default configuration, {settings.scenes} scenes of {min(SIDES)} to {max(SIDES)} pixels, "
        "batches of one scene, a fifth of the scenes held out; median and range of seconds without validation"
    )
    rows = [_cells(name, seconds) for name, seconds in (("train.py fit", times.lightning), ("loop", times.loop))]
    table = text_table(["", "median s", "least", "most"], rows)
    return f"{title}\n\n{table}\n\nratio of medians: {number(times.ratio)}"


def _cells(name: str, seconds: tuple[float, ...]) -> list[str]:
    return [name, *map(number, (median(seconds), min(seconds), max(seconds)))]
