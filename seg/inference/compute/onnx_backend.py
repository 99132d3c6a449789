"""Compute a model package with ONNX Runtime on the CPU, without PyTorch."""

from functools import cache, partial
from pathlib import Path

import numpy as np
import onnxruntime

from seg.inference.compute.backends import Features, Pending
from seg.inference.compute.onnx_network import (
    BOUNDARY,
    FEATURES,
    OUTPUT,
    heads_of,
    open_network,
    probability_of,
    thread_count,
)
from seg.inference.settings import ComputeSettings
from seg.package.description import ModelPackage
from seg.raster.chips import FloatImage

DEFAULT = ComputeSettings()


class OnnxBackend:
    """A model package in ONNX Runtime.

    Args:
        folder: Folder of the package; see `open_network`.
        package: Description of the package.
        compute: Number of threads; 0 for the value of OMP_NUM_THREADS, or all cores without this variable.
        interior: Compute the probability of cropland without the edges of parcels; needs a boundary head.

    Raises:
        PackageError: There is no usable file, and the export fails.
    """

    library = "ONNX Runtime"
    name = "onnx cpu 32"
    ahead = 0
    device_memory: int | None = None
    bytes_per_channel = 36
    """Measured on images of 512 to 1448 pixels per side: 31 to 36 bytes in `dilated_tiny_4` and `dilated_small_8`, and
    11 to 32 bytes in Unet and DeepLabV3+ with resnet18. The columns of a transposed convolution use 16 of these
    bytes."""

    def __init__(
        self, folder: Path, package: ModelPackage, compute: ComputeSettings = DEFAULT, interior: bool = False
    ) -> None:
        opened = partial(_fitting_session, package=package, threads=compute.threads)
        self.session = open_network(folder, package, opened, self.library)
        self.package = package
        self.outputs = [OUTPUT, BOUNDARY] if interior else [OUTPUT]

    def start(self, image: FloatImage) -> Pending:
        """Compute the (H, W) probability of a (C, H, W) image before this method returns."""
        heads = self.session.run(self.outputs, {"image": np.ascontiguousarray(image)[None]})
        probability = probability_of(heads, self.package)
        return lambda: probability

    @property
    def has_features(self) -> bool:
        """True if the file has the output of the features; earlier versions of this project wrote no such output."""
        return any(output.name == FEATURES for output in self.session.get_outputs())

    def features(self, image: FloatImage) -> Features:
        """Compute the (F, h, w) deepest features of a (C, H, W) image; the decoder is not computed."""
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True
        found: Features = self.session.run([FEATURES], {"image": np.ascontiguousarray(image)[None]}, options)[0][0]
        return found


def _fitting_session(
    path: Path, content_hash: str, package: ModelPackage, threads: int
) -> onnxruntime.InferenceSession | None:
    """Open a session of a file; None if the file is damaged or has other weights or heads."""
    try:
        session = onnxruntime.InferenceSession(path, _options(threads), providers=["CPUExecutionProvider"])
    except Exception:  # The errors of ONNX Runtime have no common base class.
        return None
    of_weights = session.get_modelmeta().custom_metadata_map.get("weights_sha256") == package.weights_sha256
    heads = [output.name for output in session.get_outputs() if output.name != FEATURES]
    return session if of_weights and heads == heads_of(package) else None


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # ONNX Runtime logs the errors that it also raises
    # If the number of threads is set, ONNX Runtime does not bind its threads to cores.
    options.intra_op_num_threads = thread_count(threads)
    options.inter_op_num_threads = 1
    # Threads that spin between layers would take CPU time from reading and writing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # With memory patterns, each block size would get its own buffer, which takes 2.2 instead of 1.2 GB. Blocks have
    # several sizes, since blocks at a scene's edges are smaller.
    options.enable_mem_pattern = False
    _share_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    return options


@cache
def _share_memory() -> None:
    """Let all sessions of this process share one memory arena.

    Three models on 768 x 768 pixels took 0.46 GiB with a shared arena and 1.15 GiB without it, in the same time.
    """
    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    defaults = onnxruntime.OrtArenaCfg(0, -1, -1, -1)
    onnxruntime.create_and_register_allocator(place, defaults)
