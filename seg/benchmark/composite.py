"""Time and memory of a median composite, compared with plain reading of its inputs and plain writing of its pixels."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio import Affine

from seg.benchmark.settings import CompositeBenchmarkSettings
from seg.benchmark.timing import Action, in_new_process, peak_memory_mib
from seg.imagery.composites.write import write_composite
from seg.imagery.settings import CompositeSettings
from seg.raster.gdal_options import gdal_options
from seg.raster.windows import window_grid
from seg.raster.writing.cog import LEVEL, TILE
from seg.terminal.progress import progress_bar
from seg.terminal.text import number, text_table

NAMES = ("blue", "green", "red", "nir")

_WINDOW = 2048
"""Side of the windows that are read and written plainly; a multiple of the tile's side."""

_FIELD = 37
"""Side of a field in pixels."""

_CLOUD = 900
"""Distance between clouds in pixels."""

_WRITTEN = 1024
"""Side of the windows in which a date is written; each holds the same noise."""


@dataclass(frozen=True)
class Run:
    """Time and memory of one run in a new process.

    Attributes:
        seconds: Duration.
        cpu_seconds: Time of all cores.
        memory_mib: Peak resident memory in MiB, including interpreter and libraries.
    """

    seconds: float
    cpu_seconds: float
    memory_mib: float


@dataclass(frozen=True)
class CompositeRow:
    """Medians of the runs.

    Attributes:
        composite: The composite.
        reading: Plain reading of all inputs, window by window.
        writing: Plain writing of the composite's pixels to a GeoTIFF, and its copy to a COG with the same options.
    """

    composite: Run
    reading: Run
    writing: Run

    @property
    def ratio(self) -> float:
        """Duration of the composite, divided by that of plain reading and writing."""
        return self.composite.seconds / (self.reading.seconds + self.writing.seconds)

    @property
    def cpu_ratio(self) -> float:
        """Time of all cores for the composite, divided by that of plain reading and writing."""
        return self.composite.cpu_seconds / (self.reading.cpu_seconds + self.writing.cpu_seconds)


def measure_composite(settings: CompositeBenchmarkSettings) -> CompositeRow:
    """Write synthetic dates to a temporary folder, and measure their composite and plain reading and writing."""
    runs: dict[str, list[Run]] = {"reading": [], "composite": [], "writing": []}
    steps = settings.dates + 3 * settings.repeats
    with tempfile.TemporaryDirectory(dir=settings.folder) as name, progress_bar("Composite", steps) as bar:
        folder = Path(name)
        inputs = [folder / f"date{date}.tif" for date in range(settings.dates)]
        for date, path in enumerate(inputs):
            write_date(path, date, settings.side)
            bar.step()
        output, raw = folder / "composite.tif", folder / "composite.raw"
        ways: dict[str, Action] = {
            "reading": partial(read_plainly, inputs),
            "composite": partial(compose, inputs, output, settings.memory),
            "writing": partial(write_plainly, output, raw),
        }
        for _ in range(settings.repeats):
            # The runs are interleaved, so that other load on the machine slows all of them equally.
            for way, action in ways.items():
                runs[way].append(in_new_process(_timed, action))
                if way == "composite" and not raw.exists():
                    in_new_process(unpack, output, raw)
                bar.step()
    return CompositeRow(**{way: _median(found) for way, found in runs.items()})


def write_date(path: Path, date: int, side: int) -> None:
    """Write a synthetic date: fields with noise in 4 bands of uint16, and clouds that hold the nodata value 0.

    Args:
        path: GeoTIFF to write.
        date: Number of the date.
        side: Side in pixels.
    """
    random = np.random.default_rng(date)
    noise = random.normal(0, 60, (len(NAMES), _WRITTEN, _WRITTEN)).astype(np.float32)
    profile = {"driver": "GTiff", "height": side, "width": side, "count": len(NAMES), "dtype": "uint16", "nodata": 0}
    place = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    stored = {"tiled": True, "blockxsize": TILE, "blockysize": TILE, "compress": "deflate", "predictor": 2, "zlevel": 1}
    with rasterio.open(path, "w", **profile, **place, **stored, num_threads="all_cpus", bigtiff="if_safer") as dataset:
        dataset.descriptions = NAMES
        for window in window_grid(side, side, _WRITTEN, _WRITTEN):
            pixels = (_landscape(window.row_off, window.col_off, date) + noise).clip(1, 10_000)
            pixels[:, _clouds(window.row_off, window.col_off, date)] = 0
            dataset.write(pixels[:, : window.height, : window.width].astype(np.uint16), window=window)


def _landscape(top: int, left: int, date: int) -> npt.NDArray[np.float32]:
    """Reflectance times 10,000 of fields, (4, H, W): each field has its own value in each band and date."""
    rows, columns = np.arange(_WRITTEN)[:, None] + top, np.arange(_WRITTEN) + left
    fields = (rows // _FIELD * 7919 + columns // _FIELD * 104_729) % 1009
    bands = [400 + 300 * band + (fields * (3 + band) + 131 * date) % 900 for band in range(len(NAMES))]
    return np.stack(bands).astype(np.float32)


def _clouds(top: int, left: int, date: int) -> npt.NDArray[np.bool_]:
    """Round clouds over about a fifth of a date."""
    rows, columns = np.arange(_WRITTEN)[:, None] + top, np.arange(_WRITTEN) + left
    down, across = (rows + 311 * date) % _CLOUD, (columns + 173 * date) % _CLOUD
    apart: npt.NDArray[np.bool_] = np.hypot(down - _CLOUD / 2, across - _CLOUD / 2) < _CLOUD / 4
    return apart


def read_plainly(inputs: list[Path]) -> None:
    """Read all pixels of all inputs, window by window."""
    for path in inputs:
        with rasterio.open(path) as dataset:
            for window in window_grid(dataset.height, dataset.width, _WINDOW, _WINDOW):
                dataset.read(window=window)


def compose(inputs: list[Path], output: Path, memory: float) -> None:
    """Write the median of all inputs."""
    write_composite(inputs, output, CompositeSettings(memory=memory))


def unpack(composite: Path, raw: Path) -> None:
    """Store the windows of a composite one after the other without compression."""
    with rasterio.open(composite) as dataset, raw.open("wb") as file:
        for window in window_grid(dataset.height, dataset.width, _WINDOW, _WINDOW):
            file.write(dataset.read(window=window).data)


def write_plainly(composite: Path, raw: Path) -> None:
    """Write the pixels of a composite to a GeoTIFF, window by window, and copy it to a COG with the same options."""
    plain, cog = raw.with_name("plain.tif"), raw.with_name("plain_cog.tif")
    with rasterio.open(composite) as dataset:
        profile = dataset.profile | {"driver": "GTiff", "compress": None}
    with rasterio.open(plain, "w", **profile) as written, raw.open("rb") as file:
        for window in window_grid(written.height, written.width, _WINDOW, _WINDOW):
            shape = written.count, window.height, window.width
            values = np.fromfile(file, profile["dtype"], int(np.prod(shape)))
            written.write(values.reshape(shape), window=window)
    with rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
        options = {"LEVEL": LEVEL, "PREDICTOR": "YES", "BLOCKSIZE": TILE, "RESAMPLING": "AVERAGE"}
        rasterio.shutil.copy(plain, cog, driver="COG", COMPRESS="DEFLATE", BIGTIFF="IF_SAFER", **options)
    plain.unlink()


def _timed(action: Callable[[], None]) -> Run:
    start, cpu_start = time.perf_counter(), time.process_time()
    with gdal_options():
        action()
    return Run(time.perf_counter() - start, time.process_time() - cpu_start, peak_memory_mib())


def _median(runs: list[Run]) -> Run:
    return Run(*(median(getattr(run, what) for run in runs) for what in ("seconds", "cpu_seconds", "memory_mib")))


def benchmark_composite(settings: CompositeBenchmarkSettings, output: Path | None) -> None:
    """Run the benchmark and print its report.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: The file cannot be written.
    """
    # Imported here, since the measured processes import this module, but not PyTorch.
    from seg.benchmark.reporting import check_results, write_results

    check_results(output)
    row = measure_composite(settings)
    print(text_of(settings, row))
    found = asdict(row) | {"ratio": row.ratio, "cpu_ratio": row.cpu_ratio}
    write_results({"settings": asdict(settings) | {"folder": str(settings.folder)}, "row": found}, output)


def text_of(settings: CompositeBenchmarkSettings, row: CompositeRow) -> str:
    """Report as text for the terminal."""
    title = (
        f"median of {settings.dates} dates of {settings.side}x{settings.side} pixels, 4 bands of uint16, deflate; each "
        "run in a new process; plain: rasterio reads the inputs window by window, and writes the pixels of the "
        "composite to a COG with the same options"
    )
    rows = [
        [name, number(run.seconds), number(run.cpu_seconds), number(run.memory_mib)]
        for name, run in (("composite", row.composite), ("plain reading", row.reading), ("plain writing", row.writing))
    ]
    ratios = f"{number(row.ratio)} times the duration, {number(row.cpu_ratio)} times the CPU time of plain runs"
    return f"{title}\n\n{text_table(['run', 's', 'CPU s', 'memory MiB'], rows)}\n{ratios}"
