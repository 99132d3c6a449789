"""Cost, speed and receptive field of each model of the family, reported as text and JSON."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch

from seg.benchmark.cost import NetworkCost, measure_cost
from seg.benchmark.modes import (
    choose_device,
    forward_passes,
    modes_on,
    synchronizer,
)
from seg.benchmark.reporting import Machine, check_results, describe_machine, use_threads, write_results
from seg.benchmark.settings import ModelSettings
from seg.benchmark.subjects import choose_models
from seg.benchmark.timing import Candidate, Stopwatch, interleaved_medians
from seg.errors import ConfigError
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.onnx_export import INPUT, OUTPUT, export_onnx
from seg.models.receptive_field import receptive_field_radius
from seg.models.segmenter import Segmenter
from seg.terminal.progress import progress_bar
from seg.terminal.text import number, text_table

ONNX = "ONNX on CPU"


@dataclass(frozen=True)
class ModelRow:
    """Results for one model.

    Attributes:
        name: Name in the family.
        cost: Cost of one image.
        radius: Receptive field on each side in pixels; None if unbounded.
        seconds: Median time of one image by mode; None if the mode does not work.
    """

    name: str
    cost: NetworkCost
    radius: int | None
    seconds: Mapping[str, float | None]


@dataclass(frozen=True)
class ModelReport:
    """Results of one run.

    Attributes:
        machine: Hardware and versions.
        settings: Options of the benchmark.
        rows: Results by model.
    """

    machine: Machine
    settings: ModelSettings
    rows: tuple[ModelRow, ...]

    @property
    def megapixels(self) -> float:
        """Size of the image."""
        return self.settings.size**2 / 1e6


@dataclass(frozen=True)
class Prepared:
    """A model ready for timing.

    Attributes:
        cost: Cost of one image.
        radius: Receptive field, as in `ModelRow`.
        candidates: Forward passes by mode; modes that do not work are left out.
    """

    cost: NetworkCost
    radius: int | None
    candidates: Mapping[str, Candidate]


def measure_models(settings: ModelSettings) -> ModelReport:
    """Measure costs, receptive fields and times, with interleaved timings.

    Raises:
        ConfigError: A model is unknown, or the device is absent.
    """
    models = choose_models(settings.models)
    device = choose_device(settings.device)
    use_threads(settings.threads)
    prepared: dict[str, Prepared] = {}
    with progress_bar("preparing models", len(models)) as bar:
        for name, config in models.items():
            prepared[name] = prepare(config, settings, device)
            bar.step()
    candidates = {(name, mode): c for name, model in prepared.items() for mode, c in model.candidates.items()}
    with progress_bar("timing models", len(candidates) * (settings.repeats + 1)) as bar:
        medians = interleaved_medians(candidates, settings.repeats, Stopwatch(synchronizer(device)), bar.step)
    modes = [*(mode.name for mode in modes_on(device)), ONNX]
    rows = tuple(
        ModelRow(name, model.cost, model.radius, {mode: medians.get((name, mode)) for mode in modes})
        for name, model in prepared.items()
    )
    return ModelReport(describe_machine(device), settings, rows)


def prepare(config: ModelConfig, settings: ModelSettings, device: torch.device) -> Prepared:
    """Build a model with random weights, measure its cost, and prepare its forward passes.

    Args:
        config: The model.
        settings: Options of the benchmark.
        device: Device of PyTorch.
    """
    model = build_model(config, settings.bands).eval()
    shape = (1, settings.bands, settings.size, settings.size)
    cost, radius = measure_cost(model, shape), receptive_field_radius(model, settings.bands)
    candidates: dict[str, Candidate] = {}
    with suppress(ConfigError):  # Some networks cannot be exported; the table then has a dash.
        candidates[ONNX] = onnx_candidate(model, shape, torch.get_num_threads())
    candidates |= forward_passes(model, shape, device, modes_on(device))
    return Prepared(cost, radius, candidates)


def onnx_candidate(model: Segmenter, shape: Sequence[int], threads: int) -> Candidate:
    """Forward pass of a network in ONNX Runtime.

    Args:
        model: Network on the CPU.
        shape: (1, C, H, W) of the image.
        threads: Computing threads.

    Raises:
        ConfigError: The network cannot be exported to ONNX.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(model, shape[1], path)
        runs = OnnxRuns(path.read_bytes(), shape, threads)
    return Candidate(runs.run, before=runs.open, after=runs.close)


class OnnxRuns:
    """ONNX Runtime session that is open only during a timing, since it holds about 1 GB for an image of a megapixel.

    Args:
        content: Bytes of the ONNX file.
        shape: (1, C, H, W) of the image.
        threads: Computing threads.
    """

    def __init__(self, content: bytes, shape: Sequence[int], threads: int) -> None:
        self.content = content
        self.image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        # Threads that spin after a run would slow down the next timing.
        self.options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session: onnxruntime.InferenceSession | None = None

    def open(self) -> None:
        """Start a session and run it once."""
        self.session = onnxruntime.InferenceSession(self.content, self.options, providers=["CPUExecutionProvider"])
        self.run()

    def run(self) -> None:
        """Run one forward pass in the open session."""
        if self.session is not None:
            self.session.run([OUTPUT], {INPUT: self.image})

    def close(self) -> None:
        """Close the session and free its memory."""
        self.session = None


LEGEND = """GMAC/Mpx: billion multiply-accumulate operations per million pixels. MB/Mpx: megabytes per million pixels,
if each convolution and linear layer reads its input and weights once and writes its output once, in float32. Mpx/s:
million pixels per second. radius: receptive field on each side."""


def benchmark_models(settings: ModelSettings, output: Path | None) -> None:
    """Run the model benchmark and print its report.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: A model is unknown, the device is absent, or the file cannot be written.
    """
    check_results(output)
    report = measure_models(settings)
    print(text_of(report))
    write_results(json_of(report), output)


def text_of(report: ModelReport) -> str:
    """Report as text for the terminal."""
    size = report.settings.size
    image = f"one image of {size}x{size} pixels, {report.settings.bands} bands, float32 unless the mode is mixed"
    return "\n\n".join([str(report.machine), image, _table(report), LEGEND])


def json_of(report: ModelReport) -> dict[str, object]:
    """Report as plain values: costs and seconds of one image."""
    rows = [
        {
            "name": row.name,
            "parameters": row.cost.parameters,
            "macs": row.cost.macs,
            "bytes_moved": row.cost.bytes_moved,
            "macs_per_byte": row.cost.intensity,
            "seconds": dict(row.seconds),
            "receptive_field_radius": row.radius,
        }
        for row in report.rows
    ]
    return {"machine": asdict(report.machine), "settings": asdict(report.settings), "rows": rows}


def _table(report: ModelReport) -> str:
    modes = list(report.rows[0].seconds)
    titles = ["model", "M parameters", "GMAC/Mpx", "MB/Mpx", "MAC/byte", *(f"Mpx/s {mode}" for mode in modes), "radius"]
    return text_table(titles, [_cells(row, modes, report.megapixels) for row in report.rows])


def _cells(row: ModelRow, modes: list[str], megapixels: float) -> list[str]:
    speeds = [None if seconds is None else megapixels / seconds for seconds in map(row.seconds.get, modes)]
    return [
        row.name,
        number(row.cost.parameters / 1e6),
        number(row.cost.macs / 1e9 / megapixels),
        number(row.cost.bytes_moved / 1e6 / megapixels),
        number(row.cost.intensity),
        *map(number, speeds),
        "whole window" if row.radius is None else f"{row.radius} px",
    ]
