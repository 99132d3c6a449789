"""Teacher that is one or more frozen model packages, averaged as prediction averages them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seg.errors import PackageError
from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.compute.member import Member, require_alike
from seg.inference.compute.predictor import Predictor
from seg.inference.compute.torch_backend import TorchBackend
from seg.inference.planning.fitting import fitting_bands
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.package.description import ModelPackage
from seg.package.read import read_package
from seg.raster.grid import Grid


class PackageTeacher:
    """Mean probability of model packages and their views, as `predict.py` computes it.

    Args:
        folders: The packages.
        augmentation: Views of each image.
        device: Device that computes.
        fill: Value of each band for pixels without data in the student's images; the teachers see their own instead.

    Raises:
        PackageError: A package is missing or damaged, or two packages do not take the same bands.
    """

    def __init__(
        self, folders: Sequence[Path], augmentation: TestTimeAugmentation, device: torch.device, fill: Sequence[float]
    ) -> None:
        compute = ComputeSettings(backend="torch", device=str(device), precision="32")
        packages = read_teachers(folders)
        members = [
            Member(TorchBackend(folder, package, compute), package, str(folder))
            for folder, package in zip(folders, packages, strict=True)
        ]
        self.predictor = Predictor(members, augmentation)
        self._fill = torch.tensor(fill, dtype=torch.float32)[:, None, None]
        self._own_fill = np.asarray(self.predictor.fill, dtype=np.float32)[:, None, None]

    def probability(self, images: Tensor) -> Tensor:
        """Calibrated probability (N, H, W) of images (N, C, H, W), on their device."""
        found = []
        for image in images.detach().float().cpu():
            empty = (image == self._fill).all(dim=0).numpy()
            found.append(self.predictor.probability(np.where(empty, self._own_fill, image.numpy())))
        return torch.from_numpy(np.stack(found)).to(images.device)


def read_teachers(folders: Sequence[Path]) -> list[ModelPackage]:
    """Descriptions of packages that can be averaged.

    Raises:
        PackageError: A package is missing or damaged, or two packages do not take the same bands.
    """
    packages = [read_package(folder) for folder in folders]
    require_alike([str(folder) for folder in folders], packages)
    return packages


def require_fitting(folders: Sequence[Path], grid: Grid, bands: Sequence[int]) -> None:
    """Check that packages take the bands and the pixel size of training images.

    Args:
        folders: The packages.
        grid: Grid of a training image.
        bands: 1-based bands that training reads.

    Raises:
        PackageError: A package does not fit.
    """
    for folder, package in zip(folders, read_teachers(folders), strict=True):
        found = fitting_bands(package, grid, PredictionSettings(), str(folder))
        if found != list(bands):
            raise PackageError(
                f"{folder}: would take the bands {found} of {grid.path}, but training reads {list(bands)}; set "
                "data.bands to those of the teacher, or take a teacher that was trained on these bands"
            )
