"""Speed and memory of loading chips, compared with plain loops that read the same windows."""

import itertools
import multiprocessing
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.benchmark.reporting import check_results, write_results
from seg.benchmark.settings import LoadingSettings
from seg.benchmark.subjects import BANDS, write_scene
from seg.benchmark.timing import (
    Action,
    Candidate,
    Stopwatch,
    interleaved_medians,
)
from seg.data.dataset.catalogue import Scene
from seg.data.loading.batching import EpochSampler
from seg.data.loading.loader import Batching, WatchedLoader, build_loader
from seg.data.sample import example_bytes
from seg.data.samples.chips import ChipConfig, RandomChips
from seg.raster.chips import Reading
from seg.raster.grid import read_grid
from seg.terminal.progress import progress_bar
from seg.terminal.text import number, text_table

SIZES = 256, 512
"""Sides of the chips in pixels."""


@dataclass(frozen=True)
class LoadingRow:
    """Results for chips of one size.

    Attributes:
        size: Side of a chip in pixels.
        loader: Chips per second of the loader.
        floor: Chips per second of plain loops in the same number of processes.
        memory_mib: Resident memory of all processes before the memory samples, in MiB.
        growth: Growth of this memory while the memory samples are loaded, as a share.
    """

    size: int
    loader: float
    floor: float
    memory_mib: float
    growth: float

    @property
    def ratio(self) -> float:
        """Speed of the loader divided by the speed of plain loops."""
        return self.loader / self.floor


def measure_loading(settings: LoadingSettings) -> list[LoadingRow]:
    """Load chips of each size from a synthetic scene in a temporary folder."""
    steps = len(SIZES) * (2 * settings.repeats + 3)
    with tempfile.TemporaryDirectory() as folder, progress_bar("Loading", steps) as bar:
        scene = write_scene(Path(folder) / "image.tif", Path(folder) / "mask.tif", settings.side)
        return [_measure(scene, size, settings, bar.step) for size in SIZES]


def _measure(scene: Scene, size: int, settings: LoadingSettings, report: Action) -> LoadingRow:
    config = ChipConfig(size=size, per_epoch=settings.samples)
    reading = Reading(tuple(range(1, BANDS + 1)), [0.0] * BANDS)
    chips = RandomChips({scene: read_grid(scene.image)}, config, reading)
    order = EpochSampler(len(chips), None)
    # Each round reads new windows, since GDAL caches blocks that were just read.
    rounds = [_parts(chips, order, epoch, settings.workers) for epoch in range(settings.repeats + 1)]
    loader_epochs, floor_rounds = itertools.count(), iter(rounds)
    batching = Batching(order, batch_bytes=example_bytes(size, size, BANDS))
    loader = build_loader(chips, batching, settings.workers)
    context = multiprocessing.get_context("spawn")
    with context.Pool(settings.workers, _open, (scene,)) as pool:
        seconds = interleaved_medians(
            {
                "loader": Candidate(lambda: _exhaust(loader), before=lambda: order.set_epoch(next(loader_epochs))),
                "floor": Candidate(lambda: _together(pool.map, next(floor_rounds))),
            },
            settings.repeats,
            Stopwatch(),
            report,
        )
        pool.close()
        pool.join()  # The memory measured below must not include these processes.
    before = _resident_mib()
    for _ in range(-(-settings.memory_samples // settings.samples)):
        order.set_epoch(next(loader_epochs))
        _exhaust(loader)
    growth = _resident_mib() / before - 1
    report()
    return LoadingRow(size, len(chips) / seconds["loader"], len(chips) / seconds["floor"], before, growth)


def _parts(chips: RandomChips[Scene], order: EpochSampler, epoch: int, workers: int) -> list[list[tuple[int, ...]]]:
    """Windows of an epoch, divided among the processes of the plain loop as the loader divides them among workers."""
    order.set_epoch(epoch)
    windows = [chips.place(key)[1].flatten() for key in order]
    return [windows[start::workers] for start in range(workers)]


def _exhaust(loader: WatchedLoader) -> None:
    for _ in loader:
        pass


def _together(run: Callable[..., object], parts: list[list[tuple[int, ...]]]) -> None:
    run(_read_plainly, parts, 1)


_opened: list[DatasetReader] = []
"""Image and mask, opened once in each process of the plain loop."""


def _open(scene: Scene) -> None:
    _opened[:] = [rasterio.open(scene.image), rasterio.open(scene.mask)]


def _read_plainly(windows: list[tuple[int, ...]]) -> None:
    image, mask = _opened
    for numbers in windows:
        window = Window(*numbers)
        image.read(window=window)
        mask.read(1, window=window)


def _resident_mib() -> float:
    """Resident memory of this process and its children. Shared memory is left out; it would count once per process."""
    total = 0
    for pid in ("self", *(child.pid for child in multiprocessing.active_children())):
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        total += int(fields["VmRSS"].split()[0]) - int(fields["RssShmem"].split()[0])
    return total / 1024


def benchmark_loading(settings: LoadingSettings, output: Path | None) -> None:
    """Run the loading benchmark and print its report.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: The file cannot be written.
    """
    check_results(output)
    rows = measure_loading(settings)
    print(text_of(settings, rows))
    found = [asdict(row) | {"ratio": row.ratio} for row in rows]
    write_results({"settings": asdict(settings), "rows": found}, output)


def text_of(settings: LoadingSettings, rows: list[LoadingRow]) -> str:
    """Report as text for the terminal."""
    title = (
        f"chips of a scene of {settings.side}x{settings.side} pixels, 4 bands of uint16, deflate; "
        f"{settings.workers} processes; floor: rasterio reads the same windows in plain loops"
    )
    growth = f"growth over {settings.memory_samples}"
    columns = ["chip", "loader/s", "floor/s", "ratio", "memory MiB", growth]
    return title + "\n\n" + text_table(columns, [_cells(row) for row in rows])


def _cells(row: LoadingRow) -> list[str]:
    figures = map(number, (row.loader, row.floor, row.ratio, row.memory_mib))
    return [f"{row.size}x{row.size}", *figures, f"{100 * row.growth:.1f} %"]
