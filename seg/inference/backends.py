"""What computes probabilities: one small interface, one class a library."""

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from seg.errors import ConfigError
from seg.package.description import ModelPackage
from seg.package.read import load_model
from seg.raster.chips import FloatImage

Probability = npt.NDArray[np.float32]


class Backend(Protocol):
    """A model as a function of arrays."""

    def probability(self, image: FloatImage) -> Probability:
        """The (H, W) cropland probability, 0 to 1, of a (C, H, W) float32 image in stored units.

        After temperature and bias of the package: sigmoid(logit / temperature + bias).
        """


class TorchBackend:
    """A model package in PyTorch.

    Args:
        folder: The package's folder.
        package: Its description.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto" for the first accelerator there is.
        interior: Give the probability of cropland that is not the edge of a parcel.

    Raises:
        ConfigError: The device is unknown or absent, or the model has no boundary head for the interior.
    """

    def __init__(self, folder: Path, package: ModelPackage, device: str = "auto", interior: bool = False) -> None:
        if interior and not package.architecture["arguments"].get("boundary"):
            raise ConfigError(
                f"{folder}: the model has no boundary head, which --interior needs; "
                "train with --model.model.boundary=true --model.loss.boundary=1"
            )
        self.device = _device(device)
        self.model = load_model(folder, package).to(self.device)
        self.temperature, self.bias = package.temperature, package.bias
        self.interior = interior

    @torch.inference_mode()
    def probability(self, image: FloatImage) -> Probability:
        """The (H, W) cropland probability, 0 to 1, of a (C, H, W) float32 image in stored units."""
        batch = torch.from_numpy(np.ascontiguousarray(image)).unsqueeze(0).to(self.device)
        heads = self.model.heads(batch)
        # The boundary was not calibrated: its logits stay as they are.
        heads = heads._replace(cropland=heads.cropland.float() / self.temperature + self.bias)
        wanted = heads.interior_probability() if self.interior else heads.cropland.sigmoid()
        probability: Probability = wanted[0, 0].float().cpu().numpy()
        return probability


def use_threads(threads: int) -> None:
    """Compute with this many threads in this process; 0 leaves it to the library.

    Raises:
        ConfigError: The number is negative.
    """
    if threads < 0:
        raise ConfigError(f"threads is {threads}; wanted 0 for all cores, or a number of threads")
    if threads:
        torch.set_num_threads(threads)


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
