"""Teacher that consists of frozen model packages, averaged as in prediction."""

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
from seg.raster.statistics import BandStatistics


class PackageTeacher:
    """Mean probability over model packages and views, as computed by `predict.py`.

    Args:
        folders: The packages.
        augmentation: Views of each image.
        device: Device on which the packages compute.
        fill: Value of each band that marks pixels without data in the student's images. In these pixels, the packages
            receive the fill values that prediction uses.
        scene: Statistics to which the student's images were matched scene by scene; None if images hold stored values.

    Raises:
        PackageError: A package is missing or damaged, or two packages expect different bands.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        augmentation: TestTimeAugmentation,
        device: torch.device,
        fill: Sequence[float],
        *,
        scene: BandStatistics | None = None,
    ) -> None:
        compute = ComputeSettings(backend="torch", device=str(device), precision="32")
        packages = read_teachers(folders)
        members = [
            Member(TorchBackend(folder, package, compute), package, str(folder))
            for folder, package in zip(folders, packages, strict=True)
        ]
        self.predictor = Predictor(members, augmentation).of_scene(scene)
        self._fill = torch.tensor(fill, dtype=torch.float32)[:, None, None]
        self._own_fill = np.asarray(self.predictor.fill, dtype=np.float32)[:, None, None]

    def probability(self, images: Tensor) -> Tensor:
        """Calibrated probability (N, H, W) for images (N, C, H, W), on the device of the images."""
        found = []
        for image in images.detach().float().cpu():
            empty = (image == self._fill).all(dim=0).numpy()
            found.append(self.predictor.probability(np.where(empty, self._own_fill, image.numpy())))
        return torch.from_numpy(np.stack(found)).to(images.device)


def read_teachers(folders: Sequence[Path]) -> list[ModelPackage]:
    """Read the descriptions of packages, and check that the packages can be averaged.

    Raises:
        PackageError: A package is missing or damaged, or two packages expect different bands.
    """
    packages = [read_package(folder) for folder in folders]
    require_alike([str(folder) for folder in folders], packages)
    return packages


def require_fitting(folders: Sequence[Path], grid: Grid, bands: Sequence[int], by_scene: bool = False) -> None:
    """Check that the bands and the pixel size of training images fit packages.

    Args:
        folders: The packages.
        grid: Grid of a training image.
        bands: 1-based bands that training reads.
        by_scene: True if training normalises each scene by its own statistics.

    Raises:
        PackageError: A package does not fit, or normalises bands in another way.
    """
    for folder, package in zip(folders, read_teachers(folders), strict=True):
        if package.normalises_scenes != by_scene:
            kinds = ("dataset", "scene") if by_scene else ("scene", "dataset")
            raise PackageError(
                f"{folder}: has the normalisation {kinds[0]}, but the student {kinds[1]}, so they cannot read the same "
                f"images; set model.model.normalisation to {kinds[0]}, or teach with model.teacher.maps"
            )
        found = fitting_bands(package, grid, PredictionSettings(), str(folder))
        if found != list(bands):
            raise PackageError(
                f"{folder}: expects the bands {found} of {grid.path}, but training reads {list(bands)}; set "
                "data.bands to the bands of the teacher, or use a teacher that was trained on these bands"
            )
