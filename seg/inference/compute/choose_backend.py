"""Choose between OpenVINO and ONNX Runtime on the CPU, and PyTorch; only the chosen library is imported."""

import ctypes
import logging
import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from seg.errors import ConfigError, PackageError
from seg.inference.compute.backends import Backend
from seg.inference.settings import ON_CPU, ComputeSettings
from seg.package.description import ModelPackage

if TYPE_CHECKING:
    from seg.inference.compute.onnx_backend import OnnxBackend
    from seg.inference.compute.openvino_backend import OpenVinoBackend

LOG = logging.getLogger(__name__)


def open_backend(folder: Path, package: ModelPackage, compute: ComputeSettings, interior: bool = False) -> Backend:
    """Open the backend of a model package.

    Args:
        folder: Folder of the package.
        package: Description of the package.
        compute: Library, device, threads and precision.
        interior: Compute the probability of cropland without the edges of parcels.

    Raises:
        ConfigError: The device or the library is unknown or absent, or the model has no boundary head for the interior.
        PackageError: The user asked for a library that needs ONNX, but the network cannot be exported to ONNX.
    """
    if package.network is not None:
        return _open_foreign(folder, package, compute, interior)
    if interior and not package.architecture["arguments"].get("boundary"):
        raise ConfigError(
            f"{folder}: the model has no boundary head, which --interior needs; "
            "train with --model.model.boundary=true --model.loss.boundary=1"
        )
    if not compute.wants_torch and not _prefers_torch(compute):
        backend = _cpu_backend(compute)
        try:
            return backend(folder, package, compute, interior)
        except PackageError as error:
            # The message of a failed export contains advice for scripts/export.py, so only its cause is shown here.
            reason = error.__cause__ if isinstance(error.__cause__, ConfigError) else error
            if not _is_installed("torch"):
                raise
            if compute.backend in ON_CPU:
                raise PackageError(f"{folder}: {reason}; add --backend=torch") from error
            LOG.warning("computing with PyTorch instead of %s: %s", backend.library, reason)
    if not _is_installed("torch"):
        raise ConfigError("PyTorch is not installed; add --backend=onnx, or install PyTorch")
    from seg.inference.compute.torch_backend import TorchBackend, use_threads

    use_threads(compute.threads)
    return TorchBackend(folder, package, compute, interior)


def _open_foreign(folder: Path, package: ModelPackage, compute: ComputeSettings, interior: bool) -> Backend:
    """Open the network of another program with OpenVINO or, if OpenVINO cannot compute it, with ONNX Runtime."""
    if interior:
        raise ConfigError(f"{folder}: the network of another program has no boundary head; leave --interior out")
    if compute.wants_torch:
        raise ConfigError(
            f"{folder}: the network of another program is an ONNX file, which is computed on the CPU here; leave "
            "--backend, --device and --precision out"
        )
    backend = _cpu_backend(compute)
    try:
        return backend(folder, package, compute)
    except PackageError as error:
        if compute.backend != "auto" or backend.library != "OpenVINO":
            raise
        LOG.warning("computing with ONNX Runtime: %s", error)
    from seg.inference.compute.onnx_backend import OnnxBackend

    return OnnxBackend(folder, package, compute)


def _cpu_backend(compute: ComputeSettings) -> type["OpenVinoBackend"] | type["OnnxBackend"]:
    """Backend for the CPU: the requested library if there is a request, otherwise OpenVINO if it is installed."""
    if compute.backend == "onnx" or (compute.backend == "auto" and not _is_installed("openvino")):
        from seg.inference.compute.onnx_backend import OnnxBackend

        return OnnxBackend
    if not _is_installed("openvino"):
        raise ConfigError("OpenVINO is not installed; pip install openvino, or add --backend=onnx")
    from seg.inference.compute.openvino_backend import OpenVinoBackend

    return OpenVinoBackend


def may_have_gpu() -> bool:
    """True if the machine may have an accelerator. PyTorch is not asked, since its import takes seconds."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return Path("/dev/kfd").exists() or gpu_count() > 0  # AMD has /dev/kfd


def gpu_count() -> int:
    """Number of CUDA devices that this process may use; CUDA_VISIBLE_DEVICES may hide others."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if found else 0


def _prefers_torch(compute: ComputeSettings) -> bool:
    if compute.backend != "auto" or compute.device != "auto" or not (may_have_gpu() and _is_installed("torch")):
        return False
    from seg.inference.compute.torch_backend import has_accelerator

    return has_accelerator()  # PyTorch may have been built for the CPU alone


def _is_installed(library: str) -> bool:
    return find_spec(library) is not None
