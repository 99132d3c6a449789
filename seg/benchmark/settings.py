"""Options of the benchmarks. This module does not import torch, so that `--help` is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seg.errors import ConfigError, require_threads
from seg.imagery.settings import CompositeSettings
from seg.inference.cluster.settings import cluster_of
from seg.inference.settings import ComputeSettings, Library, Precision

MOST_GROUPS = 32
"""Largest number of groups of a grouped convolution; must divide the number of channels."""


@dataclass(frozen=True, kw_only=True)
class ConvolutionSettings:
    """Options of `benchmark.py convolutions`.

    Args:
        channels: Channels of input and output, a multiple of 32.
        size: Side of the feature map in cells.
        repeats: Number of timings of each convolution; the median is reported.
        threads: Computing threads on the CPU; 0 for the default of PyTorch.
        device: Device for computing; auto uses the GPU if present.

    Raises:
        ConfigError: A value is out of range.
    """

    channels: int = 128
    size: int = 64
    repeats: int = 20
    threads: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.channels < 1 or self.channels % MOST_GROUPS:
            raise ConfigError(f"--channels is {self.channels}; wanted a multiple of {MOST_GROUPS}")
        _check_at_least("size", self.size, 1)
        _check_at_least("repeats", self.repeats, 1)
        require_threads(self.threads)


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Options of `benchmark.py models`.

    Args:
        size: Side of the image in pixels.
        bands: Bands of the image.
        repeats: Number of timings of each model; the median is reported.
        threads: Computing threads on the CPU; 0 for the default of the libraries.
        models: Names of the models, as a,b or [a,b]; null for the whole family.
        device: Device of PyTorch; auto uses the GPU if present. ONNX Runtime always computes on the CPU.

    Raises:
        ConfigError: A value is out of range.
    """

    size: int = 1024
    bands: int = 4
    repeats: int = 5
    threads: int = 0
    models: list[str] | str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_at_least("size", self.size, 1)
        _check_at_least("bands", self.bands, 1)
        _check_at_least("repeats", self.repeats, 1)
        require_threads(self.threads)


@dataclass(frozen=True, kw_only=True)
class LoadingSettings:
    """Options of `benchmark.py loading`.

    Args:
        side: Side of the synthetic scene in pixels; at least 512.
        workers: Number of loading processes.
        samples: Number of chips in each timing.
        repeats: Number of timings; the median is reported.
        memory_samples: Number of chips over which the growth of resident memory is measured.

    Raises:
        ConfigError: A value is out of range.
    """

    side: int = 8192
    workers: int = 2
    samples: int = 400
    repeats: int = 5
    memory_samples: int = 2000

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_at_least("side", self.side, 512)
        for name in ("workers", "samples", "repeats", "memory_samples"):
            _check_at_least(name, getattr(self, name), 1)


@dataclass(frozen=True, kw_only=True)
class ClusterBenchmarkSettings:
    """Options of `benchmark.py cluster`.

    Args:
        side: Side in pixels of each synthetic scene; at least 256.
        scenes: Number of scenes to map in one process, with one and with two local workers; 0 to map none.
        model: Name of a model of the family, as `benchmark.py models` lists them.
        memory: Memory limit of a process in GiB, which determines the size of the blocks.
        repeats: Number of runs; the median is reported.
        cluster: The cluster for blocks that compute nothing: local:N, tcp://host:port or a YAML file, as for
            predict.py.
        blocks: Number of blocks that compute nothing; 0 for none.
        batch: Number of these blocks per task.

    Raises:
        ConfigError: A value is out of range.
    """

    side: int = 8192
    scenes: int = 2
    model: str = "dilated_small_8"
    memory: float = 1.5
    repeats: int = 1
    cluster: str = "local:2"
    blocks: int = 200_000
    batch: int = 100

    def __post_init__(self) -> None:
        """Check the ranges."""
        cluster_of(self.cluster)
        for name, least in {"side": 256, "scenes": 0, "repeats": 1, "blocks": 0, "batch": 1}.items():
            _check_at_least(name, getattr(self, name), least)
        if not self.scenes and not self.blocks:
            raise ConfigError("--scenes and --blocks are 0, so nothing is measured; wanted one of them above 0")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Options of `benchmark.py training`.

    Args:
        scenes: Number of synthetic scenes; a fifth is held out.
        repeats: Number of epochs of each loop; the median is reported.
        threads: Computing threads; 0 for the default of PyTorch.
        device: Device for computing; auto uses the GPU if present. On a GPU, 32 bits are compared with bf16-mixed.

    Raises:
        ConfigError: A value is out of range.
    """

    scenes: int = 120
    repeats: int = 5
    threads: int = 0
    device: Literal["auto", "cpu", "cuda"] = "cpu"

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_at_least("scenes", self.scenes, 5)
        _check_at_least("repeats", self.repeats, 1)
        require_threads(self.threads)


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """Options of `benchmark.py inference`.

    Args:
        side: Side of the synthetic scene in pixels; at least 256.
        model: Name of a model of the family, as `benchmark.py models` lists them.
        halo: Context around a block: a number of pixels or a method, as in `PredictionSettings`.
        block_size: Side of a block in pixels, or auto, as in `PredictionSettings`.
        memory: Memory limit in GiB for an automatic block size, or null, as in `PredictionSettings`.
        repeats: Number of runs; the median is reported.
        threads: Computing threads; 0 for all cores.
        backend: Library, as in `ComputeSettings`.
        device: Device for computing: cpu, cuda or mps.
        precision: Precision that is compared with 32 bits on CUDA: bf16 or 16; auto for both.
        peers: Also map the scene with MONAI, TerraTorch and TorchGeo, if installed.

    Raises:
        ConfigError: A value is out of range.
    """

    side: int = 4096
    model: str = "dilated_small_8"
    halo: int | Literal["auto", "receptive-field", "measure"] = "auto"
    block_size: int | Literal["auto"] = "auto"
    memory: float | None = None
    repeats: int = 3
    threads: int = 0
    backend: Library = "auto"
    device: str = "cpu"
    precision: Precision = "auto"
    peers: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_at_least("side", self.side, 256)
        _check_at_least("repeats", self.repeats, 1)
        if self.compute().wants_torch and self.peers:
            raise ConfigError("--peers compares libraries on the CPU with ONNX; leave --device and --backend out")

    def compute(self) -> ComputeSettings:
        """Library, device, threads and precision of the engine.

        Raises:
            ConfigError: The values contradict each other.
        """
        return ComputeSettings(backend=self.backend, device=self.device, threads=self.threads, precision=self.precision)


@dataclass(frozen=True, kw_only=True)
class PolygonBenchmarkSettings:
    """Options of `benchmark.py polygons`.

    Args:
        side: Side of the larger synthetic map in pixels; the smaller map has half of this side. Both have one field per
            5,369 pixels.
        repeats: Number of runs of each method; the median is reported.

    Raises:
        ConfigError: A value is out of range.
    """

    side: int = 16384
    repeats: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_at_least("side", self.side, 256)
        _check_at_least("repeats", self.repeats, 1)


@dataclass(frozen=True, kw_only=True)
class CompositeBenchmarkSettings:
    """Options of `benchmark.py composite`.

    Args:
        side: Side of the synthetic dates in pixels; a Sentinel-2 tile has 10980. Six such dates and their composites
            need about 10 GB of disk.
        dates: Number of dates.
        memory: Limit of the memory of the composite in GiB, as for `prepare.py composite`.
        repeats: Number of runs; the median is reported.
        folder: Folder for the temporary files; null for the folder of the system.

    Raises:
        ConfigError: A value is out of range.
    """

    side: int = 4096
    dates: int = 6
    memory: float = 1.5
    repeats: int = 1
    folder: Path | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_at_least("side", self.side, 256)
        for name in ("dates", "repeats"):
            _check_at_least(name, getattr(self, name), 1)
        CompositeSettings(memory=self.memory)


@dataclass(frozen=True, kw_only=True)
class LabelsSettings:
    """Options of `benchmark.py labels`.

    Args:
        root: The dataset, fully labelled; if a run uses a scene as unlabelled, the mask of the scene is not read.
        shares: Shares of the scenes outside the held-out fold that are labelled, above 0 and at most 1.
        seeds: Seeds; each seed chooses the labelled scenes and starts the trainings.
        fold: Held-out fold; its labels score the trainings.
        folds: Number of folds.
        aside: Fold that is set aside: it is used neither for training nor for scores. Set a fold aside for the final
            result while other folds determine the settings; null for no such fold.
        steps: Optimiser steps of each training.
        batches: Batches of one sample in a step.
        chip: Side of a chip in pixels.
        supervised: Configuration of the supervised trainings.
        student: Configuration of the semi-supervised trainings.
        both: Further options of all trainings, as [--a=1,--b=2].
        taught: Further options of the semi-supervised trainings.
        threads: Computing threads; 0 for the default of PyTorch.

    Raises:
        ConfigError: A value is out of range.
    """

    root: Path
    shares: tuple[float, ...] = (0.05, 0.1, 0.25)
    seeds: tuple[int, ...] = (0, 1, 2)
    fold: int = 0
    folds: int = 5
    aside: int | None = None
    steps: int = 1000
    batches: int = 4
    chip: int = 256
    supervised: Path = Path("configs/sentinel2.yaml")
    student: Path = Path("configs/few_labels.yaml")
    both: tuple[str, ...] = ()
    taught: tuple[str, ...] = ()
    threads: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.shares or not all(0 < share <= 1 for share in self.shares):
            raise ConfigError(f"--shares is {list(self.shares)}; wanted shares above 0 and at most 1")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"--seeds is {list(self.seeds)}; wanted each seed once")
        if self.fold == self.aside or not 0 <= self.fold < self.folds:
            raise ConfigError(
                f"--fold is {self.fold} of {self.folds}, with fold {self.aside} set aside; wanted another fold"
            )
        for name in ("steps", "batches", "chip"):
            _check_at_least(name, getattr(self, name), 1)
        require_threads(self.threads)

    def fixed(self) -> dict[str, object]:
        """Values that each training depends on, as plain values; shares and seeds may be added later."""
        free = {"shares", "seeds", "threads"}
        values = {name: value for name, value in vars(self).items() if name not in free}
        return {name: str(value) if isinstance(value, Path) else _plain(value) for name, value in values.items()}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _check_at_least(option: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"--{option.replace('_', '-')} is {value}; wanted {least} or more")


@dataclass(frozen=True, kw_only=True)
class DistanceSettings:
    """Options of `benchmark.py distance`.

    Args:
        model: The package, with a description of the features of its training images.
        root: The dataset of the training. Windows of its held-out scenes are changed.
        others: Further datasets with labels, which are measured without a change.
        fold: Held-out fold.
        folds: Number of folds.
        windows: Number of sampled windows of 256 x 256 pixels in each dataset.
        threads: Computing threads; 0 for the default of PyTorch.

    Raises:
        ConfigError: A value is out of range.
    """

    model: Path
    root: Path
    others: tuple[Path, ...] = ()
    fold: int = 0
    folds: int = 5
    windows: int = 24
    threads: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.fold < self.folds:
            raise ConfigError(f"--fold is {self.fold}; wanted 0 to {self.folds - 1}")
        _check_at_least("windows", self.windows, 1)
        require_threads(self.threads)
