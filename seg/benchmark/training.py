"""Time of a training with Lightning compared with a plain loop that has the same loader, network and loss."""

import contextlib
import csv
import io
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import lightning as L
import torch

from seg.benchmark.modes import choose_device, synchronizer
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

PRECISIONS = {"cpu": ("32-true",), "cuda": ("32-true", "bf16-mixed")}
"""Lightning's names of the precisions to compare on a device; 32 bits first."""


@dataclass(frozen=True)
class Fits:
    """Trainings of two epochs with `scripts/train.py fit` and its defaults, in one precision.

    Attributes:
        seconds: Time of the first epoch of each training, without validation.
        iou: Validation IoU after each training, 0 to 1; each training has another seed.
    """

    seconds: tuple[float, ...]
    iou: tuple[float, ...]


@dataclass(frozen=True)
class TrainingTimes:
    """Results of the benchmark.

    Attributes:
        fits: Trainings by Lightning's name of the precision; 32 bits first.
        loop: Seconds of epochs of a plain loop in 32 bits.
    """

    fits: dict[str, Fits]
    loop: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Ratio of the medians in 32 bits, Lightning to plain loop."""
        return median(next(iter(self.fits.values())).seconds) / median(self.loop)


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
            synchronizer(pl_module.device)()
            self._seconds += time.perf_counter() - self._since
            self.path.write_text(json.dumps(self._seconds), encoding="utf-8")
        self._since = time.perf_counter()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock."""
        synchronizer(pl_module.device)()
        self._seconds += time.perf_counter() - self._since

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock again."""
        self._since = time.perf_counter()


def measure_training(settings: TrainingSettings) -> TrainingTimes:
    """Time epochs of Lightning and of the plain loop in turn, on synthetic scenes in a temporary folder.

    Raises:
        ConfigError: The device is absent.
    """
    device = choose_device(settings.device)
    use_threads(settings.threads)
    precisions = PRECISIONS[device.type]
    steps = (len(precisions) + 1) * (settings.repeats + 1)
    with tempfile.TemporaryDirectory() as folder, progress_bar("Training", steps) as bar:
        root = Path(folder) / "data"
        write_dataset(root, settings.scenes)
        fits: dict[str, list[tuple[float, float]]] = {precision: [] for precision in precisions}
        loop: list[float] = []
        for seed in range(settings.repeats + 1):
            for precision, results in fits.items():
                results.append(_fit(root, device, precision, seed))
                bar.step()
            loop.append(_loop_epoch(root, device))
            bar.step()
        # The first round is a warm-up.
        found = {name: Fits(*zip(*results[1:], strict=True)) for name, results in fits.items()}
        return TrainingTimes(found, tuple(loop[1:]))


def write_dataset(root: Path, scenes: int) -> None:
    """Write a dataset folder with the given number of scenes."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for index in range(scenes):
        name = f"{index:03}.tif"
        write_scene(root / "images" / name, root / "masks" / name, SIDES[index % len(SIDES)])


def _fit(root: Path, device: torch.device, precision: str, seed: int) -> tuple[float, float]:
    """Train for two epochs; return the seconds of the first epoch, and the validation IoU of the last one."""
    clock, seconds = f"{EpochClock.__module__}.{EpochClock.__qualname__}", root.parent / "seconds.json"
    run_folder = root.parent / "run"
    words = [
        "fit",
        f"--data.root={root}",
        f"--seed_everything={seed}",
        f"--trainer.default_root_dir={run_folder}",
        "--trainer.max_epochs=2",
        f"--trainer.accelerator={'gpu' if device.type == 'cuda' else 'cpu'}",
        "--trainer.devices=1",
        f"--trainer.precision={precision}",
        f"--trainer.callbacks={clock}",
        f"--trainer.callbacks.path={seconds}",
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        run(words)
    with (run_folder / "metrics.csv").open(encoding="utf-8") as file:
        scores = [row["val/iou"] for row in csv.DictReader(file) if row["val/iou"]]
    return float(json.loads(seconds.read_text(encoding="utf-8"))), float(scores[-1])


def _loop_epoch(root: Path, device: torch.device) -> float:
    L.seed_everything(0, verbose=False)
    data = CroplandDataModule(root=root)
    data.setup("fit")
    task = CroplandTask(bands=data.band_count)
    task.fill_normalization(data.statistics.mean, data.statistics.std)
    network, loss_function = task.model.train().to(device), task.loss
    loader = data.train_dataloader()
    rate = task.hparams["optimizer"]["learning_rate"]
    optimizer = torch.optim.AdamW(network.parameters(), rate)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(loader))
    start = time.perf_counter()
    for batch in loader:
        optimizer.zero_grad()
        loss_function(network(batch["image"].to(device)), batch["mask"].to(device)).backward()
        optimizer.step()
        scheduler.step()
    synchronizer(device)()
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
        "batches of one scene, a fifth of the scenes held out; median and range of seconds without validation; median "
        "and range of the validation IoU after two epochs"
    )
    rows = [[f"train.py fit, {name}", *_cells(fits.seconds), *_cells(fits.iou)] for name, fits in times.fits.items()]
    rows.append(["loop, 32 bits", *_cells(times.loop), "", "", ""])
    table = text_table(["", "median s", "least", "most", "median IoU", "least", "most"], rows)
    speeds = {name: median(fits.seconds) for name, fits in times.fits.items()}
    first, *others = speeds
    gains = [f"\nspeed of {name} / {first}: {number(speeds[first] / speeds[name])}" for name in others]
    return f"{title}\n\n{table}\n\nratio of medians, train.py fit / loop: {number(times.ratio)}{''.join(gains)}"


def _cells(values: tuple[float, ...]) -> list[str]:
    return [number(each) for each in (median(values), min(values), max(values))]
