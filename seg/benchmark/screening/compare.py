"""Prediction with and without screening on mosaics of held-out tiles, reported as text and JSON."""

import contextlib
import csv
import io
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import rasterio

from seg.benchmark.inference.engine import EngineRun, run_engine
from seg.benchmark.inference.packages import write_random
from seg.benchmark.reporting import check_results, write_results
from seg.benchmark.screening.mosaic import BLOCK, Tile, empty_blocks, read_tile, write_mosaic
from seg.benchmark.screening.settings import ScreeningSettings
from seg.benchmark.screening.splits import SplitRisk, split_risk
from seg.benchmark.subjects import choose_models
from seg.benchmark.timing import Action, in_new_process
from seg.data.dataset.catalogue import Scene, read_catalogue
from seg.errors import ConfigError
from seg.inference.screening.tally import SCREENED
from seg.inference.settings import PredictionSettings
from seg.labels import CROPLAND
from seg.package.screener import Screener, add_trained_screener
from seg.terminal.progress import progress_bar
from seg.terminal.text import number, text_table
from seg.training.cli import run as train


@dataclass(frozen=True)
class MosaicRow:
    """Results for one mosaic.

    Attributes:
        empty: Share of the blocks without cropland.
        plain: Runs without screening.
        screened: Runs with screening.
        left_out: Share of the pixels that were screened.
        lost: Share of the cropland in screened pixels.
    """

    empty: float
    plain: tuple[EngineRun, ...]
    screened: tuple[EngineRun, ...]
    left_out: float
    lost: float

    @property
    def faster(self) -> float:
        """Median time without screening divided by the median time with screening."""
        return median(run.seconds for run in self.plain) / median(run.seconds for run in self.screened)


@dataclass(frozen=True)
class ScreeningResults:
    """Results of the benchmark: one row for each mosaic, and the risk over random splits."""

    screener: Screener
    rows: tuple[MosaicRow, ...]
    risk: SplitRisk


def measure_screening(settings: ScreeningSettings) -> ScreeningResults:
    """Train a screener without the tiles of the held-out fold, and map mosaics of these tiles with and without it.

    Raises:
        ConfigError: The model is unknown, or a fold is empty.
        DatasetError: The dataset is damaged, or no held-out tile has a patch without cropland.
    """
    (config,) = choose_models([settings.model]).values()
    scenes = read_catalogue(settings.root, settings.folds)
    folds = {scene.fold for scene in scenes}
    if not {settings.fold, *settings.calibration} < folds:
        raise ConfigError(f"{settings.root}: has the folds {sorted(folds)}; wanted more than --fold and --calibration")
    tiles = [read_tile(scene) for scene in scenes if scene.fold == settings.fold]
    steps = 1 + 2 * settings.repeats * len(settings.empty)
    with tempfile.TemporaryDirectory() as place, progress_bar("Screening", steps) as bar:
        folder = Path(place)
        checkpoint = _trained(folder, scenes, settings)
        write_random(folder / "model", config)
        screener = add_trained_screener(folder / "model", checkpoint)
        bar.step()
        rows = [_measure(folder, tiles, empty, settings, bar.step) for empty in settings.empty]
        calibration = [read_tile(scene) for scene in scenes if scene.fold in settings.calibration]
        return ScreeningResults(screener, tuple(rows), split_risk(screener, [*tiles, *calibration], settings.splits))


def _trained(folder: Path, scenes: Sequence[Scene], settings: ScreeningSettings) -> Path:
    """Train a screener, with the calibration folds as its held-out fold, and return its checkpoint."""
    (folder / "data").mkdir()
    with (folder / "data" / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "mask", "fold"])
        for scene in scenes:
            if scene.fold != settings.fold:
                calibrates = scene.fold in settings.calibration
                rows.writerow([scene.image.resolve(), scene.mask.resolve(), 0 if calibrates else 1])
    words = ["fit", f"--config={settings.config}", f"--data.root={folder / 'data'}", "--data.folds=2"]
    words += [f"--trainer.default_root_dir={folder / 'run'}", "--trainer.enable_progress_bar=false"]
    with contextlib.redirect_stdout(io.StringIO()):
        train([*words, *settings.options])
    return folder / "run" / "checkpoints" / "last.ckpt"


def _measure(
    folder: Path, tiles: Sequence[Tile], empty: float, settings: ScreeningSettings, report: Action
) -> MosaicRow:
    scene, output, model = folder / "mosaic.tif", folder / "map.tif", folder / "model"
    labels = write_mosaic(scene, tiles, empty_blocks(settings.side, empty, settings.scattered))
    small = folder / "small.tif"
    write_mosaic(small, tiles, np.zeros((1, 1), bool))
    runs: dict[bool, list[EngineRun]] = {False: [], True: []}
    for _ in range(settings.repeats):
        for screen, found in runs.items():
            prediction = PredictionSettings(memory=settings.memory, screen=screen)
            found.append(in_new_process(run_engine, model, [small, scene], output, prediction, settings.compute()))
            report()
    with rasterio.open(output.with_name("map_screened.tif")) as dataset:
        left_out = dataset.read(1) == SCREENED
    cropland = labels == CROPLAND
    lost = float((cropland & left_out).sum() / max(int(cropland.sum()), 1))
    return MosaicRow(empty, tuple(runs[False]), tuple(runs[True]), float(left_out.mean()), lost)


def benchmark_screening(settings: ScreeningSettings, output: Path | None) -> None:
    """Run the screening benchmark and print its report.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: The file cannot be written, or an option does not fit the dataset.
        DatasetError: The dataset is damaged.
    """
    check_results(output)
    found = measure_screening(settings)
    print(text_of(settings, found))
    plain = {"rows": [asdict(row) | {"faster": row.faster} for row in found.rows], "risk": asdict(found.risk)}
    write_results({"settings": settings.plain(), "screener": str(found.screener), **plain}, output)


def text_of(settings: ScreeningSettings, found: ScreeningResults) -> str:
    """Report as text for the terminal."""
    pixels = settings.side * BLOCK
    kind = "scattered" if settings.scattered else "in rows"
    title = (
        f"mosaics of {pixels}x{pixels} pixels, {settings.side**2} blocks, those without cropland {kind}; "
        f"{found.rows[0].plain[0].backend}, medians of {settings.repeats}\nscreener: {found.screener}"
    )
    cells = [
        [
            f"{row.empty:.0%}",
            *(number(median(run.seconds for run in runs)) for runs in (row.plain, row.screened)),
            f"{row.faster:.2f}",
            f"{row.left_out:.1%}",
            f"{row.lost:.3%}",
        ]
        for row in found.rows
    ]
    head = ["blocks without cropland", "plain (s)", "screened (s)", "times as fast", "pixels screened", "cropland lost"]
    risk = found.risk
    splits = (
        f"{risk.splits} random splits of the held-out and calibration tiles: mean loss {risk.loss:.3%} (alpha "
        f"{found.screener.alpha:.3%}), at most alpha in {risk.coverage:.0%}, {risk.screened:.1%} of the cells screened"
    )
    return "\n\n".join([title, text_table(head, cells), splits])
