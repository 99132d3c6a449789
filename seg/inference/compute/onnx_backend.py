"""Compute a model package with ONNX Runtime on the CPU, without PyTorch."""

import logging
import os
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from seg.errors import PackageError, WriteError
from seg.files import sha256, writing
from seg.inference.compute.backends import Features, Pending, Probability
from seg.inference.settings import ComputeSettings
from seg.package.description import ONNX, ModelPackage
from seg.raster.chips import FloatImage

OUTPUT, BOUNDARY, FEATURES = "logits", "boundary", "features"
"""Names of the outputs of an ONNX file."""

DEFAULT = ComputeSettings()
LOG = logging.getLogger(__name__)


class OnnxBackend:
    """A model package in ONNX Runtime.

    The ONNX file lies in the folder of the package, or in the user's cache if that folder is read-only. If the file is
    missing or its hash differs from the stored hash, PyTorch exports the weights again.

    Args:
        folder: Folder of the package.
        package: Its description.
        compute: Number of threads; 0 for all cores, or the value of OMP_NUM_THREADS.
        interior: Compute the probability of cropland without the edges of parcels; needs a boundary head.

    Raises:
        PackageError: There is no usable file, and the export fails.
    """

    name = "onnx cpu 32"
    ahead = 0

    def __init__(
        self, folder: Path, package: ModelPackage, compute: ComputeSettings = DEFAULT, interior: bool = False
    ) -> None:
        self.session = _open_session(folder, package, compute.threads)
        self.temperature, self.bias = package.temperature, package.bias
        self.outputs = [OUTPUT, BOUNDARY] if interior else [OUTPUT]

    def start(self, image: FloatImage) -> Pending:
        """Compute the (H, W) probability of a (C, H, W) image at once."""
        logits = self.session.run(self.outputs, {"image": np.ascontiguousarray(image)[None]})
        probability = _sigmoid(logits[0][0, 0] / np.float32(self.temperature) + np.float32(self.bias))
        if len(logits) > 1:
            # Temperature and bias calibrate cropland only, so the logits of the boundary head are not changed.
            probability *= 1 - _sigmoid(logits[1][0, 0])
        return lambda: probability

    @property
    def has_features(self) -> bool:
        """True if the file has the output of the features; earlier versions of this project wrote none."""
        return any(output.name == FEATURES for output in self.session.get_outputs())

    def features(self, image: FloatImage) -> Features:
        """Compute the (F, h, w) deepest features of a (C, H, W) image; the decoder is not computed."""
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True
        found: Features = self.session.run([FEATURES], {"image": np.ascontiguousarray(image)[None]}, options)[0][0]
        return found


def _sigmoid(logits: npt.NDArray[np.float32]) -> Probability:
    """The logistic function of an array, computed in place."""
    with np.errstate(over="ignore"):  # for a very low logit, exp overflows to inf, and 1 / (1 + inf) is 0
        np.exp(np.negative(logits, out=logits), out=logits)
    logits += 1
    return np.reciprocal(logits, out=logits)


def _open_session(folder: Path, package: ModelPackage, threads: int) -> onnxruntime.InferenceSession:
    for path, stored_hash in _stored_files(folder, package):
        if not path.is_file():
            continue
        if sha256(path) != stored_hash:
            LOG.warning("%s: damaged (its hash differs from the stored one)", path)
            continue
        session = _fitting_session(path, package, threads)
        if session is not None:
            return session
    exported = _export(folder, package)
    session = _fitting_session(exported, package, threads)
    if session is None:
        raise PackageError(f"{exported}: ONNX Runtime cannot use this newly written file; add --backend=torch")
    return session


def _stored_files(folder: Path, package: ModelPackage) -> Iterator[tuple[Path, str]]:
    """Paths of a package's ONNX file and the hash that each must have; a cached file has its hash in its name."""
    if package.onnx_sha256 is not None:
        yield folder / ONNX, package.onnx_sha256
    for path in sorted(_cache().glob(f"{package.weights_sha256}-*.onnx")):
        yield path, path.stem.rpartition("-")[2]


def _export(folder: Path, package: ModelPackage) -> Path:
    """Export the network beside the weights, or to the cache if the folder is read-only."""
    beside = os.access(folder, os.W_OK)
    place = folder / ONNX if beside else _cache() / f".{uuid.uuid4().hex}.onnx"
    try:
        from seg.package.write import add_onnx

        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
        written_to = place if beside else _cache()
        LOG.info("%s: exporting the network; this takes some seconds and happens once", written_to)
        if beside:
            return add_onnx(folder)
        return add_onnx(folder, place).replace(_cache() / f"{package.weights_sha256}-{sha256(place)}.onnx")
    except ImportError as error:
        raise PackageError(
            f"{folder}: has no {ONNX} for its weights, and the export needs {error.name}, which is not installed; "
            "export the model where it was trained, with scripts/export.py --onnx"
        ) from error
    except WriteError as error:
        raise PackageError(str(error)) from error


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cropland-seg"


def _fitting_session(path: Path, package: ModelPackage, threads: int) -> onnxruntime.InferenceSession | None:
    """Open a session of a file; None if the file is damaged or has other weights or heads."""
    try:
        session = onnxruntime.InferenceSession(path, _options(threads), providers=["CPUExecutionProvider"])
    except Exception:  # errors of ONNX Runtime have no common base class
        return None
    wanted = [OUTPUT, BOUNDARY] if package.architecture["arguments"].get("boundary") else [OUTPUT]
    of_weights = session.get_modelmeta().custom_metadata_map.get("weights_sha256") == package.weights_sha256
    heads = [output.name for output in session.get_outputs() if output.name != FEATURES]
    return session if of_weights and heads == wanted else None


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # ONNX Runtime logs the errors that it also raises
    # If the number is set, ONNX Runtime does not bind its threads to cores.
    options.intra_op_num_threads = threads or _cores()
    options.inter_op_num_threads = 1
    # Threads that spin between layers would take CPU time from reading and writing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Otherwise each block size, such as those at a scene's edges, gets a buffer of its own: 2.2 instead of 1.2 GB.
    options.enable_mem_pattern = False
    _share_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    return options


@cache
def _share_memory() -> None:
    """Let all sessions of this process share one memory arena.

    Three models at 768 x 768 pixels took 0.46 instead of 1.15 GiB, in the same time.
    """
    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    defaults = onnxruntime.OrtArenaCfg(0, -1, -1, -1)
    onnxruntime.create_and_register_allocator(place, defaults)


def _cores() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
