"""What computes: the options of the command line. No torch, so that asking for help is quick."""

from dataclasses import dataclass
from typing import Literal

from seg.errors import ConfigError

Library = Literal["auto", "onnx", "torch"]
Precision = Literal["auto", "32", "bf16", "16"]


@dataclass(frozen=True, kw_only=True)
class ComputeSettings:
    """What computes.

    Attributes:
        backend: auto is PyTorch where there is a GPU, and ONNX Runtime on the CPU elsewhere.
        device: auto, cpu, cuda, cuda:1 or mps.
        threads: Threads that compute; 0 for all cores, or what OMP_NUM_THREADS says.
        precision: auto is 16 on CUDA and 32 elsewhere.
        compile: Let PyTorch compile the network first.

    Raises:
        ConfigError: Values contradict each other, or the number of threads is negative.
    """

    backend: Library = "auto"
    device: str = "auto"
    threads: int = 0
    precision: Precision = "auto"
    compile: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without a device."""
        if self.threads < 0:
            raise ConfigError(f"threads is {self.threads}; wanted 0 for all cores, or a number of threads")
        if self.backend == "onnx" and self.device not in {"auto", "cpu"}:
            raise ConfigError(
                f"device is {self.device}, but ONNX Runtime computes on the CPU here; wanted cpu, or --backend=torch"
            )
        if self.backend == "onnx" and self.compile:
            raise ConfigError("compile is for PyTorch; leave it out, or add --backend=torch")
        if self.precision in {"bf16", "16"} and (self.backend == "onnx" or self.device in {"cpu", "mps"}):
            raise ConfigError(
                f"precision is {self.precision}, which is for CUDA devices; wanted auto or 32 on the CPU and on mps"
            )

    @property
    def wants_torch(self) -> bool:
        """Whether only PyTorch can do what is asked for."""
        accelerator = self.device not in {"auto", "cpu"}
        return self.backend == "torch" or accelerator or self.compile or self.precision in {"bf16", "16"}
