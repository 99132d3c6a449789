"""Screener of a model package: a small network that finds cells of a scene without cropland, at a stated risk."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from seg.errors import PackageError
from seg.package.arrays import add_arrays, read_arrays
from seg.package.description import SCREENER, ModelPackage
from seg.package.read import read_package

if TYPE_CHECKING:
    from seg.package.checkpoint import Checkpoint

Numbers = npt.NDArray[np.float64]

SCREEN = "screen"
"""Name of the task that trains a screener."""

LAYER = r"network\.\d+\.weight"
"""Names of the weights in a checkpoint; a layer is a 1 x 1 convolution over cells."""

PIXEL_RATIO = 1.5
"""Largest accepted ratio between the pixel sides of the training images of a screener and of a model."""


@dataclass(frozen=True, kw_only=True)
class Screener:
    """Multilayer perceptron over the features of a cell, and the limits within which cells are screened.

    Attributes:
        geometry: Sizes of pixels, cells, windows and squares, as `seg.inference.screening.features.GEOMETRY`.
        places: Positions of the green, the red and the near infrared band among the model's bands, from 0.
        otsu: Values above which a pixel is bright, green or wet.
        mean: (F,) mean of the features over the training cells.
        covariance: (F, F) covariance of the features over the training cells.
        limit: Distance from the training cells beyond which no cell is screened.
        layers: Weights (outputs, inputs) and biases (outputs,) of each layer.
        cut: Largest logit of a screened cell; -inf if no cell may be screened.
        alpha: Largest expected share of the cropland that lies in screened cells, 0 to 1.
        scenes: Number of held-out scenes that determined the cut.
        screened: Share of the held-out scenes' cells that the cut screens, 0 to 1.
        lost: Share of the held-out scenes' cropland that lies in these cells, 0 to 1.
        sha256: Hash of the file in the package; empty before the screener is added to a package.
    """

    geometry: tuple[int, ...]
    places: tuple[int, int, int]
    otsu: tuple[float, float, float]
    mean: Numbers
    covariance: Numbers
    limit: float
    layers: tuple[tuple[Numbers, Numbers], ...]
    cut: float
    alpha: float
    scenes: int
    screened: float
    lost: float
    sha256: str = ""

    def __str__(self) -> str:
        found = f"{self.scenes} held-out scenes"
        if self.cut == -math.inf:
            return f"no cell is screened, since {found} do not suffice for a risk of {self.alpha:.3g}"
        return (
            f"at most {self.alpha:.3g} of the cropland is expected in screened cells; in {found}, {self.screened:.1%} "
            f"of the cells were screened, with {self.lost:.3g} of the cropland"
        )

    def logits(self, features: Numbers) -> Numbers:
        """(N,) logits of the expected share of cropland in N cells with (N, F) features."""
        values = (features - self.mean) / np.maximum(np.sqrt(np.diag(self.covariance)), 1e-6)
        for number, (weights, biases) in enumerate(self.layers, start=1):
            values = _linear(values, weights, biases)
            if number < len(self.layers):
                values = np.maximum(values, 0)
        return np.asarray(values[:, 0])

    def unlike(self, features: Numbers) -> npt.NDArray[np.bool_]:
        """(N,) True for cells that lie farther from the training cells than the limit."""
        return np.asarray(self.distances(features) > self.limit)

    def distances(self, features: Numbers) -> Numbers:
        """(N,) Mahalanobis distances from the training cells, divided by the square root of F."""
        whitened = _linear(features - self.mean, self._whitening, np.zeros(len(self.mean)))
        return np.asarray(np.sqrt(np.square(whitened).sum(axis=1) / len(self.mean)))

    @cached_property
    def _whitening(self) -> Numbers:
        return np.asarray(np.linalg.inv(np.linalg.cholesky(self.covariance)), dtype=np.float64)


def _linear(values: Numbers, weights: Numbers, biases: Numbers) -> Numbers:
    """(N, outputs) of a linear layer.

    Inputs are added one by one, since the rounding of a matrix product depends on N, and thus on the blocks.
    """
    found = np.broadcast_to(biases, (len(values), len(biases)))
    for column, weight in zip(values.T, weights.T, strict=True):
        found = found + column[:, None] * weight
    return found


def screener_of(checkpoint: "Checkpoint") -> Screener:
    """Screener in a checkpoint of the task screen.

    Raises:
        PackageError: Another task wrote the checkpoint, or the checkpoint has no calibration.
    """
    if checkpoint.task.get("task") != SCREEN:
        raise PackageError(
            f"{checkpoint.path}: was not trained by the task screen; train a screener with "
            "train.py fit --config configs/screen.yaml"
        )
    if "cut" not in checkpoint.calibration:
        raise PackageError(f"{checkpoint.path}: holds no cut, since it was not validated; use last.ckpt of the run")
    data, found = checkpoint.data, checkpoint.calibration
    try:
        places = sorted(int(name.split(".")[1]) for name in checkpoint.weights if re.fullmatch(LAYER, name))
        layers = [[checkpoint.weights[f"network.{n}.{part}"] for part in ("weight", "bias")] for n in places]
        return Screener(
            geometry=tuple(map(int, data["geometry"])),
            places=_three(data["places"]),
            otsu=_three(data["otsu"]),
            mean=np.asarray(data["feature_mean"], np.float64),
            covariance=np.asarray(data["feature_covariance"], np.float64),
            limit=float(data["limit"]),
            layers=tuple((weights.double().flatten(1).numpy(), biases.double().numpy()) for weights, biases in layers),
            cut=-math.inf if found["cut"] is None else float(found["cut"]),
            alpha=float(checkpoint.task["alpha"]),
            scenes=int(found["scenes"]),
            screened=float(found["screened"]),
            lost=float(found["lost"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise PackageError(f"{checkpoint.path}: lacks a value of the screener ({error}); train again") from error


def add_trained_screener(folder: Path, checkpoint: Path) -> Screener:
    """Add the screener of a checkpoint to a package.

    Args:
        folder: The package.
        checkpoint: A checkpoint of the task screen.

    Raises:
        PackageError: The package or the checkpoint is missing or damaged, or they take different bands or pixels.
        WriteError: The package cannot be written.
    """
    # Imported here, so that prediction does not import torch.
    from seg.package.checkpoint import read_checkpoint

    found = read_checkpoint(checkpoint)
    screener = screener_of(found)
    _require_fit(folder, read_package(folder), found)
    add_screener(folder, screener)
    return screener


def add_screener(folder: Path, screener: Screener) -> ModelPackage:
    """Write a screener to a package, and its hash to the package's description file.

    Raises:
        PackageError: The package is missing or damaged.
        WriteError: The package cannot be written.
    """
    return add_arrays(folder, SCREENER, _arrays(screener), "screener_sha256")


def _require_fit(folder: Path, package: ModelPackage, checkpoint: "Checkpoint") -> None:
    if package.normalises_scenes:
        raise PackageError(
            f"{folder}: normalises each scene by its own statistics, but a screener looks at stored values; leave "
            "--screener out"
        )
    names, bands = list(checkpoint.data["band_names"]), list(checkpoint.data["bands"])
    same_names = names == list(package.band_names) and all(names)
    unnamed = not (all(names) and all(package.band_names))
    if len(bands) != len(package.bands) or not (same_names or (unnamed and bands == list(package.bands))):
        raise PackageError(
            f"{checkpoint.path}: was trained on the bands {_bands(bands, names)}, but {folder} takes "
            f"{_bands(package.bands, package.band_names)}; train a screener on the model's bands"
        )
    sides = package.pixel_size_m, checkpoint.data["pixel_size_m"]
    if None not in sides and max(sides) > PIXEL_RATIO * min(sides):
        raise PackageError(
            f"{checkpoint.path}: was trained on pixels of {sides[1]:g} m, but {folder} on {sides[0]:g} m; train a "
            "screener on the model's pixels"
        )


def _bands(numbers: Sequence[int], names: Sequence[str]) -> str:
    return ", ".join(name or str(number) for number, name in zip(numbers, names, strict=True))


_NUMBERS = ("limit", "cut", "alpha", "scenes", "screened", "lost")


def _arrays(screener: Screener) -> dict[str, npt.NDArray[Any]]:
    """Values of a screener as arrays by name."""
    arrays = {f"weights{n}": weights for n, (weights, _) in enumerate(screener.layers)}
    arrays |= {f"biases{n}": biases for n, (_, biases) in enumerate(screener.layers)}
    named = {"geometry": screener.geometry, "places": screener.places, "otsu": screener.otsu}
    arrays |= {name: np.array(values, np.float64) for name, values in named.items()}
    numbers = np.array([getattr(screener, name) for name in _NUMBERS], np.float64)
    return arrays | {"mean": screener.mean, "covariance": screener.covariance, "numbers": numbers}


def read_screener(folder: Path, package: ModelPackage) -> Screener | None:
    """Read the screener of a package; None if the package has none.

    Raises:
        PackageError: The file is missing or damaged, or its hash differs from the one in the package's description
            file.
    """
    if package.screener_sha256 is None:
        return None
    path, remedy = folder / SCREENER, "add the screener again"
    values = read_arrays(path, package.screener_sha256, remedy)
    try:
        count = sum(name.startswith("weights") for name in values)
        limit, cut, alpha, scenes, screened, lost = values["numbers"].tolist()
        return Screener(
            geometry=tuple(values["geometry"].astype(int).tolist()),
            places=_three(values["places"].astype(int).tolist()),
            otsu=_three(values["otsu"].tolist()),
            mean=values["mean"],
            covariance=values["covariance"],
            limit=limit,
            layers=tuple((values[f"weights{n}"], values[f"biases{n}"]) for n in range(count)),
            cut=cut,
            alpha=alpha,
            scenes=int(scenes),
            screened=screened,
            lost=lost,
            sha256=package.screener_sha256,
        )
    except (KeyError, ValueError) as error:
        raise PackageError(f"{path}: missing or damaged ({error}); {remedy}") from error


Number = TypeVar("Number", int, float)


def _three(values: Sequence[Number]) -> tuple[Number, Number, Number]:
    first, second, third = values
    return first, second, third
