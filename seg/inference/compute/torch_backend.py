"""Compute a model package with PyTorch, on the CPU or an accelerator."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seg.errors import ConfigError
from seg.inference.compute.backends import Features, Pending, Probability
from seg.inference.settings import ComputeSettings, Precision
from seg.package.description import ModelPackage
from seg.package.read import load_model
from seg.raster.chips import FloatImage

DTYPES = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}
DEFAULT = ComputeSettings()


class TorchBackend:
    """A model package in PyTorch.

    On CUDA, images are uploaded and probabilities downloaded through page-locked memory, in separate streams, while the
    network computes another image.

    Args:
        folder: Folder of the package.
        package: Description of the package.
        compute: Device and precision; the device "auto" is the first accelerator, or the CPU.
        interior: Compute the probability of cropland without the edges of parcels; needs a boundary head.

    Raises:
        ConfigError: The device is unknown or absent, or it does not compute in the chosen precision.
    """

    bytes_per_channel = 36
    """The value measured for ONNX Runtime."""

    def __init__(
        self, folder: Path, package: ModelPackage, compute: ComputeSettings = DEFAULT, interior: bool = False
    ) -> None:
        self.device = usable_device(compute.device)
        self.precision = _precision(compute.precision, self.device)
        self.model = load_model(folder, package).to(self.device)
        self.temperature, self.bias = package.temperature, package.bias
        self.interior = interior
        self.name = f"torch {self.device.type} {self.precision}"
        self.ahead = 0
        self.device_memory: int | None = None
        if self.device.type == "cuda":
            self.ahead = 1
            self.device_memory = torch.cuda.mem_get_info(self.device)[0]
            self.model.to(memory_format=torch.channels_last)
            self.uploads, self.downloads = (torch.cuda.Stream(self.device) for _ in range(2))  # type: ignore[no-untyped-call]

    @torch.inference_mode()
    def start(self, image: FloatImage) -> Pending:
        """Compute the (H, W) probability of a (C, H, W) image; on CUDA, this method returns before the end."""
        batch = torch.from_numpy(np.ascontiguousarray(image))[None]
        if self.device.type == "cuda":
            return self._start_on_cuda(batch)
        with self._autocast():
            probability: Probability = self._compute(batch.to(self.device)).cpu().numpy()
        return lambda: probability

    @property
    def has_features(self) -> bool:
        """True if the network has an encoder."""
        return self.model.has_features

    @torch.inference_mode()
    def features(self, image: FloatImage) -> Features:
        """Compute the (F, h, w) deepest features of a (C, H, W) image."""
        batch = torch.from_numpy(np.ascontiguousarray(image))[None].to(self.device)
        with self._autocast():
            features: Features = self.model.features(batch)[0].float().cpu().numpy()
        return features

    def _start_on_cuda(self, batch: Tensor) -> Pending:
        current = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self.uploads):
            uploaded = batch.pin_memory().to(self.device, non_blocking=True)
        current.wait_stream(self.uploads)
        uploaded.record_stream(current)  # This keeps the memory of the image until the network has read the image.
        with torch.cuda.device(self.device), self._autocast():
            computed = self._compute(uploaded.contiguous(memory_format=torch.channels_last))
        self.downloads.wait_stream(current)
        with torch.cuda.stream(self.downloads):
            host = torch.empty(computed.shape, dtype=computed.dtype, pin_memory=True)
            host.copy_(computed, non_blocking=True)
            computed.record_stream(self.downloads)
            done = self.downloads.record_event()

        def wait() -> Probability:
            done.synchronize()
            if self.precision == "16" and not bool(host.isfinite().all()):
                raise ConfigError("precision 16 overflows with this model; add --precision=bf16 or --precision=32")
            probability: Probability = host.numpy()
            return probability

        return wait

    def _compute(self, batch: Tensor) -> Tensor:
        heads = self.model.heads(batch)
        # Temperature and bias calibrate cropland only, so the logits of the boundary head are not changed.
        heads = heads._replace(cropland=heads.cropland.float() / self.temperature + self.bias)
        if heads.boundary is not None:
            heads = heads._replace(boundary=heads.boundary.float())
        wanted = heads.interior_probability() if self.interior else heads.cropland.sigmoid()
        return wanted[0, 0]

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision == "32":
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.precision])


def use_threads(threads: int) -> None:
    """Set the number of threads of this process; 0 leaves the choice to PyTorch."""
    if threads:
        torch.set_num_threads(threads)


def has_accelerator() -> bool:
    """True if PyTorch has a device other than the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) is not None


def _precision(wanted: Precision, device: torch.device) -> str:
    if device.type == "cuda":
        # float16 has finer steps than bfloat16. Rounding to float16 changes a probability by about 0.001, so the halo
        # measurement cannot see smaller effects.
        return "16" if wanted == "auto" else wanted
    if wanted in {"auto", "32"}:
        return "32"
    raise ConfigError(f"precision is {wanted}, but the device {device.type} computes in 32; leave --precision out")


def usable_device(name: str) -> torch.device:
    """The device of a name; the name "auto" is the first accelerator, or the CPU.

    Raises:
        ConfigError: The device is unknown or absent.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        torch.zeros(1, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ConfigError(f"device is {name}, unusable here ({reason}); wanted auto, cpu, cuda or mps") from error
