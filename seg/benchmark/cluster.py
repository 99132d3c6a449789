"""Speed of predictions on a cluster, and load of its scheduler, reported as text and JSON."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from seg.benchmark.inference.packages import write_random
from seg.benchmark.reporting import check_results, write_results
from seg.benchmark.settings import ClusterBenchmarkSettings
from seg.benchmark.subjects import choose_models, write_scene
from seg.errors import ConfigError
from seg.inference.cluster.simulation import Simulation, simulate
from seg.terminal.progress import progress_bar
from seg.terminal.text import number, text_table

ALONE, ONE, TWO = "one process", "local:1", "local:2"
"""The ways to map the scenes; the last two are values of --cluster."""

_COMMAND = "import sys; from seg.entry.program import main; sys.exit(main())"
"""Python program that runs a command of `cropland-seg`."""

POLL = 0.01
"""Time in seconds between two looks for a first block."""


@dataclass
class MapRun:
    """Times of one way to map the scenes, one value for each repetition.

    Attributes:
        seconds: Seconds from the start to the end of the process.
        first: Seconds from the start of the process to the first block on the disk.
    """

    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Speeds:
    """Results of mapping the same scenes in three ways.

    Attributes:
        megapixels: Size of all scenes together.
        runs: Times of each way.
        equal: True if all maps have the same bytes.
    """

    megapixels: float
    runs: dict[str, MapRun]
    equal: bool

    def ratio(self, slow: str, fast: str) -> float:
        """Speed of one way divided by the speed of another way."""
        return median(self.runs[slow].seconds) / median(self.runs[fast].seconds)


def measure_speeds(settings: ClusterBenchmarkSettings) -> Speeds:
    """Map synthetic scenes in a process of their own, with one and with two single-threaded local workers.

    Raises:
        ConfigError: The model is unknown.
    """
    (config,) = choose_models([settings.model]).values()
    with tempfile.TemporaryDirectory() as place, progress_bar("mapping", 3 * settings.repeats) as bar:
        folder = Path(place)
        write_random(folder / "model", config)
        (folder / "scenes").mkdir()
        for index in range(settings.scenes):
            write_scene(folder / "scenes" / f"{index}.tif", folder / f"{index}_mask.tif", settings.side)
        runs = {way: MapRun() for way in (ALONE, ONE, TWO)}
        maps: set[tuple[bytes, ...]] = set()
        for _ in range(settings.repeats):
            for way, run in runs.items():
                maps.add(_timed(folder, way, run, settings))
                bar.step()
    return Speeds(settings.scenes * settings.side**2 / 1e6, runs, len(maps) == 1)


def _timed(folder: Path, way: str, run: MapRun, settings: ClusterBenchmarkSettings) -> tuple[bytes, ...]:
    """Map the scenes in one way, add the times to the run, and return the content of the maps."""
    output = folder / "maps"
    output.mkdir()
    began = time.perf_counter()
    with _first_block(output, began, run.first):
        map_scenes(folder, output, way, settings.memory)
    run.seconds.append(time.perf_counter() - began)
    found = sorted(output.iterdir())
    content = tuple(path.read_bytes() for path in found)
    for path in found:
        path.unlink()
    output.rmdir()
    return content


def map_scenes(folder: Path, output: Path, way: str, memory: float) -> None:
    """Map the scenes of a folder with the command that users call, with one thread in each process.

    Args:
        folder: Folder with `model` and `scenes`.
        output: Folder for the maps.
        way: ALONE, ONE or TWO.
        memory: Memory limit of a process in GiB.

    Raises:
        ConfigError: The command failed.
    """
    words = [f"--model={folder / 'model'}", f"--input={folder / 'scenes'}", f"--output={output}"]
    words += [f"--memory={memory}", "--threads=1", "--device=cpu"]
    words += [] if way == ALONE else [f"--cluster={way}"]
    # A new interpreter imports only what the command needs; a process forked from this one would have PyTorch too.
    ended = subprocess.run([sys.executable, "-c", _COMMAND, "predict", *words], capture_output=True, text=True)
    if ended.returncode:
        raise ConfigError(f"predict failed: {ended.stderr.strip()}")


@contextmanager
def _first_block(output: Path, began: float, found: list[float]) -> Iterator[None]:
    """Within a `with` statement, wait for a first block beside the maps, and add the time to a list."""
    ended = threading.Event()

    def look() -> None:
        while not any(output.glob("*.partial/*.npy")) and not ended.wait(POLL):
            pass
        found.append(time.perf_counter() - began)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def benchmark_cluster(settings: ClusterBenchmarkSettings, output: Path | None) -> None:
    """Map scenes alone and on local workers, send blocks that compute nothing, print the figures, and write JSON.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for text only.

    Raises:
        ConfigError: The cluster or the model cannot be used, or the file cannot be written.
    """
    check_results(output)
    speeds = measure_speeds(settings) if settings.scenes else None
    load = simulate(settings.cluster, settings.blocks, settings.batch) if settings.blocks else None
    print("\n\n".join(text_of(settings, speeds, load)))
    found = {"speeds": speeds and asdict(speeds), "load": load and asdict(load)}
    write_results({"settings": asdict(settings), **found}, output)


def text_of(settings: ClusterBenchmarkSettings, speeds: Speeds | None, load: Simulation | None) -> Iterator[str]:
    """Paragraphs of the report.

    Args:
        settings: Options of the benchmark.
        speeds: Results of mapping scenes; None if no scene was mapped.
        load: Results of blocks that compute nothing; None if there were none.
    """
    if speeds is not None:
        yield (
            f"{settings.scenes} scenes of {settings.side}x{settings.side} pixels, {settings.model} with random "
            f"weights, one thread in each process; medians of {settings.repeats}"
        )
        yield text_table(["", "seconds", "Mpx/s", "seconds to the first block"], list(_rows(speeds)))
        yield f"all maps have the same bytes: {'yes' if speeds.equal else 'NO'}"
    if load is not None:
        yield f"{settings.cluster}, {load.blocks:,} blocks that compute nothing, {load.batch} in a task"
        tasks = load.blocks / load.batch / load.seconds
        yield text_table(["seconds", "tasks/s"], [[f"{load.seconds:.1f}", f"{tasks:.0f}"]])
    yield text_table(["", "found", "wanted"], list(_bars(speeds, load)))


def _rows(speeds: Speeds) -> Iterator[Sequence[str]]:
    for way, run in speeds.runs.items():
        seconds = median(run.seconds)
        yield [way, number(seconds), number(speeds.megapixels / seconds), number(median(run.first))]


def _bars(speeds: Speeds | None, load: Simulation | None) -> Iterator[Sequence[str]]:
    """Rows with each figure that has a limit."""
    if speeds is not None:
        first = median(speeds.runs[ONE].first)
        yield ["speed of one worker / one process", f"{speeds.ratio(ALONE, ONE):.3f}", "0.97 or more"]
        yield ["speed of two workers / one worker", f"{speeds.ratio(ONE, TWO):.2f}", "1.8 or more"]
        yield ["seconds from the start to the first block", number(first), "5 or less"]
    if load is not None:
        yield ["growth of the scheduler, bytes per block", f"{load.growth:.0f}", "less than 1,000"]
        yield ["size of a task, bytes per block", f"{load.payload:.0f}", "less than 1,000"]
