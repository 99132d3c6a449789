"""The models of the family side by side: what each costs, how fast it is, how far it sees."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch

from seg.benchmark.cost import NetworkCost, measure_cost
from seg.benchmark.family import choose_models
from seg.benchmark.machine import Machine, describe_machine
from seg.benchmark.modes import (
    choose_device,
    forward_passes,
    modes_on,
    synchronizer,
)
from seg.benchmark.reporting import use_threads
from seg.benchmark.settings import ModelSettings
from seg.benchmark.timing import Candidate, Stopwatch, interleaved_medians
from seg.errors import ConfigError
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.onnx_export import INPUT, OUTPUT, export_onnx
from seg.models.receptive_field import receptive_field_radius
from seg.models.segmenter import Segmenter
from seg.terminal.progress import progress_bar

ONNX = "ONNX on CPU"


@dataclass(frozen=True)
class ModelRow:
    """One model.

    Attributes:
        name: As in the family.
        cost: Of one image.
        radius: Pixels over which an input reaches a logit, to each side; None if that has no end.
        seconds: Median time of one image by mode; None where it cannot be computed so.
    """

    name: str
    cost: NetworkCost
    radius: int | None
    seconds: Mapping[str, float | None]


@dataclass(frozen=True)
class ModelReport:
    """What was measured, all of it in one run.

    Attributes:
        machine: Where.
        settings: On which image.
        rows: The models.
    """

    machine: Machine
    settings: ModelSettings
    rows: tuple[ModelRow, ...]

    @property
    def megapixels(self) -> float:
        """Of the image."""
        return self.settings.size**2 / 1e6


@dataclass(frozen=True)
class Prepared:
    """A model ready to be timed.

    Attributes:
        cost: Of one image.
        radius: See `ModelRow`.
        candidates: Its passes, by mode; those that cannot be are not there.
    """

    cost: NetworkCost
    radius: int | None
    candidates: Mapping[str, Candidate]


def measure_models(settings: ModelSettings) -> ModelReport:
    """Costs, receptive fields and times, the timings taken in turns.

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
    """A model with random weights, counted and ready to be timed.

    Args:
        config: The model.
        settings: On which image.
        device: Where PyTorch computes.
    """
    model = build_model(config, settings.bands).eval()
    shape = (1, settings.bands, settings.size, settings.size)
    cost, radius = measure_cost(model, shape), receptive_field_radius(model, settings.bands)
    candidates: dict[str, Candidate] = {}
    with suppress(ConfigError):  # it says that this network is for PyTorch alone; the table has a dash then
        candidates[ONNX] = onnx_candidate(model, shape, torch.get_num_threads())
    candidates |= forward_passes(model, shape, device, modes_on(device))
    return Prepared(cost, radius, candidates)


def onnx_candidate(model: Segmenter, shape: Sequence[int], threads: int) -> Candidate:
    """Passes of a network through ONNX Runtime.

    Args:
        model: On the CPU.
        shape: (1, C, H, W) of the image.
        threads: Threads that compute.

    Raises:
        ConfigError: The network cannot be written as ONNX.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(model, shape[1], path)
        runs = OnnxRuns(path.read_bytes(), shape, threads)
    return Candidate(runs.run, before=runs.open, after=runs.close)


class OnnxRuns:
    """A session that exists only around a timing: it keeps the memory of its largest run, a gigabyte for a megapixel.

    Args:
        content: The ONNX file.
        shape: (1, C, H, W) of the image.
        threads: Threads that compute.
    """

    def __init__(self, content: bytes, shape: Sequence[int], threads: int) -> None:
        self.content = content
        self.image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        # Threads that wait busily after a run would slow down whatever is timed next.
        self.options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session: onnxruntime.InferenceSession | None = None

    def open(self) -> None:
        """Start a session and let it have its first run."""
        self.session = onnxruntime.InferenceSession(self.content, self.options, providers=["CPUExecutionProvider"])
        self.run()

    def run(self) -> None:
        """One pass, in an open session."""
        if self.session is not None:
            self.session.run([OUTPUT], {INPUT: self.image})

    def close(self) -> None:
        """Give the memory back."""
        self.session = None
