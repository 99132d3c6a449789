"""A model package in PyTorch, on the CPU or an accelerator."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seg.errors import ConfigError
from seg.inference.compute.backends import Pending, Probability
from seg.inference.settings import ComputeSettings, Precision
from seg.package.description import ModelPackage
from seg.package.read import load_model
from seg.raster.chips import FloatImage

DTYPES = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}


class TorchBackend:
    """A model package in PyTorch.

    On CUDA, images are copied from and probabilities into page-locked memory, on streams of their own, while the
    network computes another image.

    Args:
        folder: The package's folder.
        package: Its description.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto" for the first accelerator there is.
        interior: Give the probability of cropland that is not the edge of a parcel; needs a boundary head.
        compute: Precision, and whether the network is compiled.

    Raises:
        ConfigError: The device is unknown or absent, or cannot compute in that precision.
    """

    def __init__(
        self,
        folder: Path,
        package: ModelPackage,
        device: str = "auto",
        interior: bool = False,
        compute: ComputeSettings | None = None,
    ) -> None:
        compute = compute or ComputeSettings()
        self.device = _device(device)
        self.precision = _precision(compute.precision, self.device)
        self.model = load_model(folder, package).to(self.device)
        self.temperature, self.bias = package.temperature, package.bias
        self.interior = interior
        self.name = f"torch {self.device.type} {self.precision}" + (" compiled" if compute.compile else "")
        self.ahead = 0
        if self.device.type == "cuda":
            self.ahead = 1
            self.model.to(memory_format=torch.channels_last)
            self.uploads, self.downloads = (torch.cuda.Stream(self.device) for _ in range(2))  # type: ignore[no-untyped-call]
        self.compute: Callable[[Tensor], Tensor] = torch.compile(self._compute) if compute.compile else self._compute

    @torch.inference_mode()
    def start(self, image: FloatImage) -> Pending:
        """Begin with the (H, W) probability of a (C, H, W) image; all but CUDA devices compute it at once."""
        batch = torch.from_numpy(np.ascontiguousarray(image))[None]
        if self.device.type == "cuda":
            return self._start_on_cuda(batch)
        with self._autocast():
            probability: Probability = self.compute(batch.to(self.device)).cpu().numpy()
        return lambda: probability

    def _start_on_cuda(self, batch: Tensor) -> Pending:
        current = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self.uploads):
            uploaded = batch.pin_memory().to(self.device, non_blocking=True)
        current.wait_stream(self.uploads)
        uploaded.record_stream(current)  # its memory is not given away while the network may read it
        with torch.cuda.device(self.device), self._autocast():
            computed = self.compute(uploaded.contiguous(memory_format=torch.channels_last))
        self.downloads.wait_stream(current)
        with torch.cuda.stream(self.downloads):
            host = torch.empty(computed.shape, dtype=computed.dtype, pin_memory=True)
            host.copy_(computed, non_blocking=True)
            computed.record_stream(self.downloads)
            done = self.downloads.record_event()

        def wait() -> Probability:
            done.synchronize()
            if self.precision == "16" and not bool(host.isfinite().all()):
                raise ConfigError("precision 16 is too small for this model's numbers; add --precision=bf16 or 32")
            probability: Probability = host.numpy()
            return probability

        return wait

    def _compute(self, batch: Tensor) -> Tensor:
        heads = self.model.heads(batch)
        # The boundary was not calibrated: its logits stay as they are.
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
    """Compute with this many threads in this process; 0 leaves it to the library."""
    if threads:
        torch.set_num_threads(threads)


def has_accelerator() -> bool:
    """Whether PyTorch can compute on something else than the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) is not None


def _precision(wanted: Precision, device: torch.device) -> str:
    if device.type == "cuda":
        # Of the two short ones, 16 has the finer steps: 0.001 of a probability, which no halo can be seen below.
        return "16" if wanted == "auto" else wanted
    if wanted in {"auto", "32"}:
        return "32"
    raise ConfigError(f"precision is {wanted}, but the device is {device.type}, which computes in 32; leave it out")


def _device(name: str) -> torch.device:
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        torch.zeros(1, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ConfigError(f"device '{name}' cannot be used ({reason}); wanted auto, cpu, cuda or mps") from error
