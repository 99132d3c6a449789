"""Which library computes: ONNX Runtime on the CPU, or PyTorch. Neither is imported before it is chosen."""

import ctypes
import platform
import sys
from importlib.util import find_spec
from pathlib import Path

from seg.errors import ConfigError, PackageError
from seg.inference.compute.backends import Backend
from seg.inference.settings import ComputeSettings
from seg.package.description import ModelPackage


def open_backend(folder: Path, package: ModelPackage, compute: ComputeSettings, interior: bool = False) -> Backend:
    """The backend of a model package.

    Args:
        folder: The package's folder.
        package: Its description.
        compute: What computes.
        interior: Give the probability of cropland that is not the edge of a parcel.

    Raises:
        ConfigError: The device is unknown or absent, or the model has no boundary head for the interior.
        PackageError: ONNX Runtime was asked for, and the network cannot be written for it.
    """
    if interior and not package.architecture["arguments"].get("boundary"):
        raise ConfigError(
            f"{folder}: the model has no boundary head, which --interior needs; "
            "train with --model.model.boundary=true --model.loss.boundary=1"
        )
    if not compute.wants_torch and not _better_in_torch(compute):
        from seg.inference.compute.onnx_backend import OnnxBackend

        try:
            return OnnxBackend(folder, package, compute.threads, interior)
        except PackageError as error:
            # Of a network that cannot be ONNX, only what PyTorch said; the rest is advice for the export.
            reason = error.__cause__ if isinstance(error.__cause__, ConfigError) else error
            if not _torch_is_there():
                raise
            if compute.backend == "onnx":
                raise PackageError(f"{folder}: {reason}; add --backend=torch") from error
            print(f"note: PyTorch computes, not ONNX Runtime: {reason}", file=sys.stderr)
    if not _torch_is_there():
        raise ConfigError("PyTorch, which was asked for, is not installed; add --backend=onnx, or install it")
    from seg.inference.compute.torch_backend import TorchBackend, use_threads

    use_threads(compute.threads)
    return TorchBackend(folder, package, compute.device, interior, compute)


def _better_in_torch(compute: ComputeSettings) -> bool:
    if compute.backend != "auto" or compute.device != "auto" or not (gpu_is_there() and _torch_is_there()):
        return False
    from seg.inference.compute.torch_backend import has_accelerator

    return has_accelerator()  # PyTorch may have been built for the CPU alone


def _torch_is_there() -> bool:
    return find_spec("torch") is not None


def gpu_is_there() -> bool:
    """Whether PyTorch may find an accelerator; asked of the system, since importing PyTorch takes seconds."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if Path("/dev/kfd").exists():  # AMD
        return True
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
