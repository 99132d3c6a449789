"""Machine, threads and result files of a benchmark."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import onnxruntime
import torch

from seg.files import require_output_file, write_json

CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Machine:
    """Hardware and versions of a benchmark.

    Attributes:
        date: Local date and time of the measurement, to the minute.
        python: Version of Python.
        torch: Version of PyTorch.
        onnxruntime: Version of ONNX Runtime.
        cpu: Name of the processor.
        threads: Number of computing threads.
        gpu: Name of the GPU; None if PyTorch computes on the CPU.
    """

    date: str
    python: str
    torch: str
    onnxruntime: str
    cpu: str
    threads: int
    gpu: str | None

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        gpu = f"; GPU {self.gpu}" if self.gpu else ""
        return (
            f"{self.date}; Python {self.python}, PyTorch {self.torch}, ONNX Runtime {self.onnxruntime}; "
            f"CPU {self.cpu}, {threads}{gpu}"
        )


def describe_machine(device: torch.device) -> Machine:
    """Describe this machine with its current settings.

    Args:
        device: Device on which PyTorch computes.
    """
    return Machine(
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        python=platform.python_version(),
        torch=torch.__version__,
        onnxruntime=onnxruntime.__version__,
        cpu=cpu_name(),
        threads=torch.get_num_threads(),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
    )


def cpu_name(cpu_info: Path = CPU_INFO) -> str:
    """Name of the processor.

    Args:
        cpu_info: File in which Linux describes the processor. If it is missing, Python's `platform` is asked, which
            often returns only "x86_64".
    """
    if cpu_info.is_file():
        for line in cpu_info.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine() or "unknown"


def use_threads(threads: int) -> None:
    """Set PyTorch's number of threads in this process; 0 keeps the library's default."""
    if threads:
        torch.set_num_threads(threads)


def check_results(path: Path | None) -> None:
    """Check before the measurement that a file for results can be written.

    Args:
        path: The file; None for no file.

    Raises:
        ConfigError: The file cannot be written.
    """
    if path is not None:
        require_output_file(path)


def write_results(content: Mapping[str, object], path: Path | None) -> None:
    """Write results as JSON.

    Args:
        content: Plain values.
        path: The file; None for no file.
    """
    if path is not None:
        write_json(content, path)
