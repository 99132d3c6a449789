"""Speed of the raster engine beside its own parts and other libraries, reported as text and JSON."""

import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import rasterio

from seg.benchmark.inference.engine import EngineRun, forward_speed, plain_copy, run_engine
from seg.benchmark.inference.packages import write_pointwise, write_random
from seg.benchmark.inference.peers import Peer, PeerRun, installed_peers
from seg.benchmark.inference.precisions import measure_torch, torch_text
from seg.benchmark.reporting import check_results, write_results
from seg.benchmark.settings import InferenceSettings
from seg.benchmark.subjects import choose_models, write_scene
from seg.benchmark.timing import Action, in_new_process
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.terminal.progress import progress_bar
from seg.terminal.text import number, text_table

POINTWISE = "1x1 convolution"
SEAM_SIDE = 1024
"""Side in pixels of the scene that is mapped both in blocks and as one block."""


@dataclass(frozen=True)
class PeerFigures:
    """Results of another library.

    Attributes:
        run: The library's run over the scene.
        seam_percent: Largest difference in percentage points between two maps of a smaller scene: one mapped in tiles
            by the library, one mapped as a single block by the engine.
    """

    run: PeerRun
    seam_percent: int


@dataclass(frozen=True)
class InferenceRow:
    """Results for one model.

    Attributes:
        name: Name of the model.
        megapixels: Size of the scene.
        runs: Runs of the engine.
        forward: Speed of the forward pass alone, in megapixels per second, on images of the size of a block with its
            halo.
        copying: Seconds to read the scene and write its maps in plain loops.
        seam_percent: Largest difference in percentage points between two maps of a smaller scene: one mapped in blocks,
            one mapped as a single block. Maps hold whole percents.
        peers: Figures of other libraries, by name.
    """

    name: str
    megapixels: float
    runs: tuple[EngineRun, ...]
    forward: tuple[float, ...]
    copying: tuple[float, ...]
    seam_percent: int
    peers: dict[str, PeerFigures]

    @property
    def seconds(self) -> float:
        """Median seconds of the engine."""
        return median(run.seconds for run in self.runs)

    @property
    def speed(self) -> float:
        """Speed of the engine in megapixels of the scene per second."""
        return self.megapixels / self.seconds

    @property
    def of_forward(self) -> float:
        """Speed of the engine divided by the speed of the forward pass; pixels in halos do not count."""
        return self.speed / median(self.forward)

    @property
    def of_computing(self) -> float:
        """Speed of the engine divided by the speed of the forward pass; pixels in halos count as computed pixels."""
        return self.of_forward * self.runs[0].redundancy

    @property
    def of_copying(self) -> float:
        """Speed of the engine divided by the speed of reading and writing alone."""
        return median(self.copying) / self.seconds

    @property
    def peak_mib(self) -> float:
        """Peak memory over all runs of the engine, in MiB."""
        return max(run.peak_mib for run in self.runs)

    def plain(self) -> dict[str, object]:
        """All figures as plain values."""
        names = ("seconds", "speed", "of_forward", "of_computing", "of_copying", "peak_mib")
        return asdict(self) | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class _Bench:
    """Scenes, folders and settings shared by all models."""

    folder: Path
    scene: Path
    small: Path
    compute: ComputeSettings
    settings: InferenceSettings
    peers: list[Peer]

    def prediction(self, model: str) -> PredictionSettings:
        """Prediction settings of a model; the halo option applies only to models with a halo."""
        wanted = self.settings
        halo = wanted.halo if model != POINTWISE else "auto"
        return PredictionSettings(block_size=wanted.block_size, halo=halo, memory=wanted.memory)


def measure_inference(settings: InferenceSettings) -> list[InferenceRow]:
    """Map a synthetic scene in a temporary folder with a model of the family and with a 1×1 convolution.

    Raises:
        ConfigError: The model is unknown, or `peers` is set and no other library is installed.
    """
    (config,) = choose_models([settings.model]).values()
    peers = installed_peers() if settings.peers else []
    steps = 2 * (3 * settings.repeats + 1) + len(peers)
    with tempfile.TemporaryDirectory() as place, progress_bar("Inference", steps) as bar:
        folder = Path(place)
        models = {settings.model: folder / "model", POINTWISE: folder / "pointwise"}
        write_random(models[settings.model], config)
        write_pointwise(models[POINTWISE])
        for name, side in (("scene", settings.side), ("small", min(SEAM_SIDE, settings.side))):
            write_scene(folder / f"{name}.tif", folder / f"{name}_mask.tif", side)
        bench = _Bench(folder, folder / "scene.tif", folder / "small.tif", settings.compute(), settings, peers)
        return [_measure(bench, name, model, bar.step) for name, model in models.items()]


def _measure(bench: _Bench, name: str, model: Path, report: Action) -> InferenceRow:
    runs, forward, copying = [], [], []
    prediction = bench.prediction(name)
    output = bench.folder / "map.tif"
    maps = [output, output.with_name("map_probability.tif")]
    for _ in range(bench.settings.repeats):
        runs.append(in_new_process(run_engine, model, [bench.small, bench.scene], output, prediction, bench.compute))
        report()
        forward.append(in_new_process(forward_speed, model, runs[0].shape, prediction, bench.compute))
        report()
        copying.append(in_new_process(plain_copy, bench.scene, maps, bench.folder))
        report()
    whole = _percent(bench, model, replace(prediction, block_size=SEAM_SIDE))
    seam = _difference(whole, _percent(bench, model, replace(prediction, block_size=SEAM_SIDE // 4)))
    report()
    peers = _peers(bench, model, whole, report) if name != POINTWISE else {}
    megapixels = bench.settings.side**2 / 1e6
    return InferenceRow(name, megapixels, tuple(runs), tuple(forward), tuple(copying), seam, peers)


def _peers(bench: _Bench, model: Path, whole: np.ndarray, report: Action) -> dict[str, PeerFigures]:
    figures, output = {}, bench.folder / "peer.tif"
    for peer in bench.peers:
        try:
            run = in_new_process(peer.run, model, bench.scene, output)
            in_new_process(peer.run, model, bench.small, output)
            figures[peer.name] = PeerFigures(run, _difference(whole, _read(output)))
        except ImportError as error:
            print(f"note: skipped {peer.name}, since one of its dependencies is missing: {error}", file=sys.stderr)
        report()
    return figures


def _difference(percent: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(percent.astype(int) - other.astype(int)).max())


def _percent(bench: _Bench, model: Path, settings: PredictionSettings) -> np.ndarray:
    output = bench.folder / "small_map.tif"
    in_new_process(run_engine, model, [bench.small], output, settings, bench.compute)
    return _read(output.with_name("small_map_probability.tif"))


def _read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        percent: np.ndarray = dataset.read(1)
    return percent


def benchmark_inference(settings: InferenceSettings, output: Path | None) -> None:
    """Run the inference benchmark and print its report.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: The file cannot be written, the device is absent, or `peers` is set and no other library is
            installed.
    """
    check_results(output)
    if settings.compute().wants_torch:
        report = measure_torch(settings)
        print(torch_text(settings, report))
        write_results({"settings": asdict(settings), "torch": asdict(report)}, output)
        return
    rows = measure_inference(settings)
    print(text_of(settings, rows))
    write_results({"settings": asdict(settings), "rows": [row.plain() for row in rows]}, output)


def text_of(settings: InferenceSettings, rows: list[InferenceRow]) -> str:
    """Report as text for the terminal."""
    title = (
        f"a scene of {settings.side}x{settings.side} pixels, 4 bands of uint16, deflate, to two maps with overviews; "
        f"{rows[0].runs[0].backend}, random weights; medians of {settings.repeats}"
    )
    return "\n\n".join([title, *(_section(row) for row in rows)])


def _section(row: InferenceRow) -> str:
    run = row.runs[0]
    plan = f"{row.name}: {run.blocks} blocks of {run.cut}, {run.redundancy:.2f} computed pixels per pixel of the scene"
    forward, copying = median(row.forward), row.megapixels / median(row.copying)
    cells = [
        ["engine", number(row.speed), ""],
        ["forward pass alone", number(forward), f"{row.of_forward:.2f} ({row.of_computing:.2f} if halo pixels count)"],
        ["reading and writing alone", number(copying), f"{row.of_copying:.2f}"],
    ]
    cells = [[*cell, "", ""] for cell in cells]
    cells[0][3:] = [f"{row.peak_mib:,.0f}", f"{row.seam_percent}"]
    for name, peer in row.peers.items():
        speed = row.megapixels / peer.run.seconds
        cells.append(
            [name, number(speed), f"{row.speed / speed:.2f}", f"{peer.run.peak_mib:,.0f}", f"{peer.seam_percent}"]
        )
    head = ["", "finished Mpx/s", "engine / this", "peak MiB", "largest difference from a single block (%)"]
    return plan + "\n\n" + text_table(head, cells)
