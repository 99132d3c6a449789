"""What is measured: the options of the command line. No torch, so that asking for help is quick."""

from dataclasses import dataclass
from typing import Literal

from seg.errors import ConfigError

MOST_GROUPS = 32
"""Groups of the grouped convolution with the most of them; divides the channels that are compared."""


@dataclass(frozen=True, kw_only=True)
class ConvolutionSettings:
    """At which shape convolutions are compared.

    Args:
        channels: Channels of input and output, a multiple of 32.
        size: Side of the feature map in cells.
        repeats: Timings of each convolution, whose median counts.
        threads: Threads that compute on the CPU; 0 leaves it to the library.
        device: What computes; auto is the GPU where there is one.

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
        _check_at_least("threads", self.threads, 0)


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """On which image models are compared.

    Args:
        size: Side of the image in pixels.
        bands: Bands of the image.
        repeats: Timings of each model, whose median counts.
        threads: Threads that compute on the CPU; 0 leaves it to the library.
        models: Names of the models, as in a,b or [a,b]; null for the whole family.
        device: What computes in PyTorch, ONNX Runtime being measured on the CPU; auto is the GPU where there is one.

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
        _check_at_least("threads", self.threads, 0)


@dataclass(frozen=True, kw_only=True)
class LoadingSettings:
    """How the loading of chips is measured.

    Args:
        side: Side of the scene that is made for it, in pixels; at least 512.
        workers: Processes that load.
        samples: Chips of one timing.
        repeats: Timings, whose median counts.
        memory_samples: Chips over which resident memory may not grow.

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
class TrainingSettings:
    """How training through Lightning is compared with a plain loop.

    Args:
        scenes: Scenes that are made for it; a fifth of them is held out.
        repeats: Epochs of each way, whose median counts.
        threads: Threads that compute; 0 leaves it to the library.

    Raises:
        ConfigError: A value is out of range.
    """

    scenes: int = 120
    repeats: int = 5
    threads: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_at_least("scenes", self.scenes, 5)
        _check_at_least("repeats", self.repeats, 1)
        _check_at_least("threads", self.threads, 0)


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """How the raster engine is measured.

    Args:
        side: Side of the scene that is made for it, in pixels; at least 256.
        model: Name of a model of the family, as `models` lists them.
        halo: Context around a block in pixels, or how it is found, as for prediction.
        block_size: Side of a block in pixels; auto as for prediction.
        memory: GiB that prediction may take, for an automatic block size; null as for prediction.
        repeats: Runs, whose median counts.
        threads: Threads that compute; 0 for all cores.
        peers: Map the scene with MONAI and TerraTorch too, those of them that are installed.

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
    peers: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_at_least("side", self.side, 256)
        _check_at_least("repeats", self.repeats, 1)
        _check_at_least("threads", self.threads, 0)


@dataclass(frozen=True, kw_only=True)
class PolygonBenchmarkSettings:
    """Which maps are turned into polygons.

    Args:
        side: Side of the larger map that is made for it, in pixels, with a field on every 5,369 of them; the smaller
            one has half of it.
        repeats: Runs of each way, whose median counts.

    Raises:
        ConfigError: A value is out of range.
    """

    side: int = 16384
    repeats: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_at_least("side", self.side, 256)
        _check_at_least("repeats", self.repeats, 1)


def _check_at_least(option: str, value: int, least: int) -> None:
    if value < least:
        raise ConfigError(f"--{option.replace('_', '-')} is {value}; wanted {least} or more")
