"""The ONNX file of a model package, and the probability from its outputs; for all libraries that run ONNX."""

import logging
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from seg.errors import PackageError, WriteError
from seg.files import sha256, writing
from seg.inference.compute.backends import Probability
from seg.package.description import ONNX, ModelPackage
from seg.package.read import network_file

OUTPUT, BOUNDARY, FEATURES = "logits", "boundary", "features"
"""Names of the outputs of an ONNX file."""

LOG = logging.getLogger(__name__)

Logits = npt.NDArray[np.float32]
Network = TypeVar("Network")


def open_network(
    folder: Path, package: ModelPackage, opened: Callable[[Path, str], Network | None], library: str
) -> Network:
    """Open the ONNX file of a package.

    The ONNX file lies in the folder of the package, or in the user's cache if that folder is read-only. If the file is
    missing or its hash differs from the stored hash, PyTorch exports the weights again. The network of another program
    exists only as an ONNX file and cannot be exported again, so this file must be in the folder.

    Args:
        folder: Folder of the package.
        package: Description of the package.
        opened: Function that opens a file, given its path and SHA-256. It returns None if the file is damaged or has
            other weights or heads.
        library: Name of the library in messages.

    Raises:
        PackageError: There is no usable file, and the export fails.
    """
    if package.network is not None:
        return _open_foreign(folder, package, opened, library)
    for path, stored_hash in _stored_files(folder, package):
        if not path.is_file():
            continue
        if sha256(path) != stored_hash:
            LOG.warning("%s: damaged (its hash differs from the stored hash)", path)
            continue
        network = opened(path, stored_hash)
        if network is not None:
            return network
    exported = _export(folder, package)
    network = opened(exported, sha256(exported))
    if network is None:
        raise PackageError(f"{exported}: {library} cannot use this newly written file; add --backend=torch")
    return network


def _open_foreign(
    folder: Path, package: ModelPackage, opened: Callable[[Path, str], Network | None], library: str
) -> Network:
    path = network_file(folder, package)
    network = opened(path, str(package.onnx_sha256))
    if network is None:
        raise PackageError(f"{path}: {library} cannot compute this network; add --backend=onnx")
    return network


def heads_of(package: ModelPackage) -> list[str]:
    """Names of the outputs of a package's ONNX file, without the output of the features."""
    return [OUTPUT, BOUNDARY] if package.architecture["arguments"].get("boundary") else [OUTPUT]


def probability_of(heads: Sequence[Logits], package: ModelPackage) -> Probability:
    """The (H, W) probability of cropland, or of cropland without the edges of parcels.

    Args:
        heads: (1, 1, H, W) logits of cropland; for the interior, the logits of the boundary too.
        package: Description of the model, with temperature and bias.
    """
    logits = heads[0][0, 0] / np.float32(package.temperature)
    logits += np.float32(package.bias)
    probability = _sigmoid(logits)
    if len(heads) > 1:
        # Temperature and bias calibrate cropland only, so the logits of the boundary head are not changed.
        probability *= 1 - _sigmoid(np.array(heads[1][0, 0]))
    return probability


def thread_count(threads: int) -> int:
    """Number of threads; 0 becomes the value of OMP_NUM_THREADS, or the number of cores that this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if threads or (wanted.isdecimal() and int(wanted) > 0):
        return threads or int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _sigmoid(logits: Logits) -> Probability:
    """The logistic function of an array, computed in place."""
    with np.errstate(over="ignore"):  # for a very low logit, exp overflows to inf, and 1 / (1 + inf) is 0
        np.exp(np.negative(logits, out=logits), out=logits)
    logits += 1
    return np.reciprocal(logits, out=logits)


def _stored_files(folder: Path, package: ModelPackage) -> Iterator[tuple[Path, str]]:
    """Possible paths of a package's ONNX file, each with the expected hash; a cached file has its hash in its name."""
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
