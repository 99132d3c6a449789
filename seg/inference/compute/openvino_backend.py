"""Compute a model package with OpenVINO on the CPU, without PyTorch."""

import hashlib
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np

from seg.errors import ClaimError
from seg.files import complete_or_absent
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

if TYPE_CHECKING:
    import openvino

COMPILED = ".openvino"
"""Suffix of the file of a compiled network, which lies beside the ONNX file."""

CHECKSUM_BYTES = 32
"""Length of the SHA-256 at the start of the file of a compiled network. The hash covers the compiled network, the
ONNX file, the weights, the heads, the version of OpenVINO and the processor."""

DEFAULT = ComputeSettings()


class OpenVinoBackend:
    """A model package in OpenVINO.

    The compiled network accepts images of any size. It is stored beside the ONNX file with a checksum, which also
    covers the version of OpenVINO and the processor. If the version or the processor changes, the network is compiled
    again.

    Args:
        folder: Folder of the package; see `open_network`.
        package: Description of the package.
        compute: Number of threads; 0 for the value of OMP_NUM_THREADS, or all cores without this variable.
        interior: Compute the probability of cropland without the edges of parcels; this needs a boundary head.

    Raises:
        PackageError: There is no usable ONNX file, and the export fails.
    """

    library = "OpenVINO"
    ahead = 0
    device_memory: int | None = None
    bytes_per_channel = 28
    """Measured on images of 1200 and 1664 pixels per side: 26 bytes in `dilated_small_8`, 19 in `dilated_tiny_4`."""

    def __init__(
        self, folder: Path, package: ModelPackage, compute: ComputeSettings = DEFAULT, interior: bool = False
    ) -> None:
        threads = thread_count(compute.threads)
        # In small images, the last bits of the probability depend on the number of threads.
        self.name = f"openvino cpu 32 threads {threads}"
        self.folder, self.package = folder, package
        self.options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # By default, OpenVINO computes in bfloat16 if the processor supports it.
            "INFERENCE_PRECISION_HINT": "f32",
            # The reading and writing threads need the cores too.
            "ENABLE_CPU_PINNING": False,
        }
        opened = partial(_fitting_network, package=package, options=self.options)
        self.network = open_network(folder, package, opened, self.library)
        self.request = self.network.create_infer_request()
        self.outputs = [OUTPUT, BOUNDARY] if interior else [OUTPUT]

    def start(self, image: FloatImage) -> Pending:
        """Compute the (H, W) probability of a (C, H, W) image before this method returns."""
        self._free_others()
        pixels = np.ascontiguousarray(image)[None]
        found = self.request.infer({"image": pixels}, share_inputs=True, share_outputs=True)
        probability = probability_of([found[name] for name in self.outputs], self.package)
        return lambda: probability

    @property
    def has_features(self) -> bool:
        """True if the ONNX file has the output of the features; earlier versions did not write this output."""
        return self._encoder is not None

    def features(self, image: FloatImage) -> Features:
        """Compute the (F, h, w) deepest features of a (C, H, W) image; the decoder is not computed."""
        if self._encoder is None:
            raise ValueError(f"{self.folder}: its ONNX file has no features")
        found: Features = self._encoder({"image": np.ascontiguousarray(image)[None]})[FEATURES][0]
        return found

    @cached_property
    def _encoder(self) -> "openvino.CompiledModel | None":
        """The part of the network that computes the features; compiled on first use, since maps do not need it."""

        def opened(path: Path, _: str) -> "tuple[openvino.CompiledModel | None]":
            part = _part(_core().read_model(path), [FEATURES])
            return (None if part is None else _core().compile_model(part, "CPU", self.options),)

        return open_network(self.folder, self.package, opened, self.library)[0]

    def _free_others(self) -> None:
        """Free the feature maps of other models, so that the models of an ensemble reuse the same memory."""
        for other in [backend for backend in _WORKING if backend is not self]:
            other.network.release_memory()
            _WORKING.discard(other)
        _WORKING.add(self)


_WORKING: WeakSet[OpenVinoBackend] = WeakSet()
"""Models of this process that hold feature maps. The set holds at most one model: the model that computed last."""


def _fitting_network(
    path: Path, content_hash: str, package: ModelPackage, options: dict[str, object]
) -> "openvino.CompiledModel | None":
    """Open or compile the network of an ONNX file; None if the file is damaged or has other weights or heads."""
    core, kept = _core(), path.with_suffix(COMPILED)
    checked = f"{content_hash} {package.weights_sha256} {heads_of(package)} {_machine(core)}".encode()
    with suppress(OSError, RuntimeError):
        content = kept.read_bytes()
        checksum, compiled = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
        if checksum == hashlib.sha256(checked + compiled).digest():
            return core.import_model(compiled, "CPU", options)
    try:
        model = core.read_model(path)
        weights = model.get_rt_info(["framework", "weights_sha256"]).astype(str)
    except RuntimeError:
        return None
    heads = _part(model, heads_of(package))
    if (
        heads is None
        or weights != package.weights_sha256
        or _outputs(model).keys() - {FEATURES} != {*heads_of(package)}
    ):
        return None
    try:
        network = core.compile_model(heads, "CPU", options)
    except RuntimeError:  # an operator of a network of another program
        return None
    compiled = network.export_model().getvalue()
    # The compiled network is not stored if the folder is read-only, or while another process stores it.
    with suppress(OSError, ClaimError), complete_or_absent(kept) as unfinished:
        unfinished.write_bytes(hashlib.sha256(checked + compiled).digest() + compiled)
    return network


def _outputs(model: "openvino.Model") -> "dict[str, openvino.Output]":
    return {name: port for port in model.outputs for name in port.names}


def _part(model: "openvino.Model", names: Sequence[str]) -> "openvino.Model | None":
    """The part of a network that computes some outputs; None if the network lacks one of these outputs."""
    import openvino

    outputs = _outputs(model)
    if not set(names) <= outputs.keys():
        return None
    return openvino.Model([outputs[name] for name in names], model.get_parameters(), "part")


def _machine(core: "openvino.Core") -> str:
    """Version of OpenVINO, and name and instruction sets of the processor; compiled networks depend on all of them."""
    version = core.get_versions("CPU")["CPU"].build_number
    processor = [core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # The file exists only on Linux.
        lines = []
    return f"{version} {processor} {next((line for line in lines if line.startswith('flags')), '')}"


@cache
def _core() -> "openvino.Core":
    """OpenVINO without its telemetry. On import, the telemetry writes to the user's home and connects to a server."""
    telemetry = "openvino_telemetry"
    blocked = telemetry not in sys.modules
    if blocked:
        sys.modules[telemetry] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        if blocked:
            del sys.modules[telemetry]
    return openvino.Core()
