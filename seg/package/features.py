"""Statistics of the training images' features in a model package, and distances of other images from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg.errors import PackageError
from seg.package.arrays import add_arrays, read_arrays
from seg.package.description import FEATURES, ModelPackage

Vectors = npt.NDArray[np.float64]
"""(N, F) pooled features, one vector for each patch of an image."""

LIMIT = 0.99
"""A scene counts as unlike the training images if this share of the training windows has smaller distances than the
scene."""

PARTS = 5
"""Number of parts of the training windows. The distances of each part are measured from the other parts."""


@dataclass(frozen=True)
class FeatureDescription:
    """Features of the training images, pooled over patches.

    Attributes:
        mean: (F,) mean over all patches.
        covariance: (F, F) covariance over all patches, regularised by shrinkage so that it has an inverse.
        distances: Distance of each training window, in ascending order.
    """

    mean: Vectors
    covariance: Vectors
    distances: Vectors

    @property
    def limit(self) -> float:
        """Distance that 1 % of the training windows exceed."""
        return float(np.quantile(self.distances, LIMIT))

    @property
    def deviations(self) -> Vectors:
        """(F,) standard deviation of each feature."""
        return np.asarray(np.sqrt(np.diag(self.covariance)), dtype=np.float64)

    def patch_distances(self, vectors: Vectors) -> Vectors:
        """Mahalanobis distance of each patch divided by the square root of F; about 1 for training images."""
        whitened = np.linalg.solve(self._root, (vectors - self.mean).T)
        squares = np.asarray(np.square(whitened).sum(axis=0), dtype=np.float64)
        return np.sqrt(squares / len(self.mean))

    def window_distance(self, vectors: Vectors) -> float:
        """Distance of a window: the root mean square over its patches, of which there must be at least one."""
        return math.sqrt(float(np.square(self.patch_distances(vectors)).mean()))

    def share_nearer(self, distance: float) -> float:
        """Share of the training windows whose distance is smaller than a given distance, 0 to 1."""
        return float(np.searchsorted(self.distances, distance)) / len(self.distances)

    @cached_property
    def _root(self) -> Vectors:
        return np.asarray(np.linalg.cholesky(self.covariance), dtype=np.float64)


def describe_features(windows: Sequence[Vectors]) -> FeatureDescription:
    """Describe training windows by their patches.

    The distances of each fifth of the windows are measured from the other four fifths. Otherwise, each window would
    contribute to the mean and the covariance, so its distance would be smaller than that of a similar window in a new
    scene.

    Args:
        windows: (N, F) pooled features of each window; N may differ and is at least 1.

    Raises:
        ValueError: There are fewer than two windows.
    """
    if len(windows) < 2:
        raise ValueError(f"{len(windows)} windows; wanted at least 2")
    parts = min(PARTS, len(windows))
    distances = np.empty(len(windows))
    for part in range(parts):
        others = [window for number, window in enumerate(windows) if number % parts != part]
        known = FeatureDescription(*_moments(np.concatenate(others)), np.zeros(1))
        for number in range(part, len(windows), parts):
            distances[number] = known.window_distance(windows[number])
    return FeatureDescription(*_moments(np.concatenate(windows)), np.sort(distances))


def describe_cells(scenes: Sequence[Vectors]) -> FeatureDescription:
    """Describe the cells of training scenes; `distances` then holds the distance of each cell.

    The distances of each fifth of the scenes are measured from the other scenes, as by `describe_features`.

    Args:
        scenes: (N, F) features of the cells of each scene; N may be 0 in some scenes.

    Raises:
        ValueError: There are fewer than two cells.
    """
    if sum(map(len, scenes)) < 2:
        raise ValueError(f"{sum(map(len, scenes))} cells; wanted at least 2")
    found = []
    for part in range(min(PARTS, len(scenes))):
        others = [scene for number, scene in enumerate(scenes) if number % PARTS != part]
        known = np.concatenate(others if sum(map(len, others)) > 1 else scenes)
        found += [FeatureDescription(*_moments(known), np.zeros(1)).patch_distances(s) for s in scenes[part::PARTS]]
    return FeatureDescription(*_moments(np.concatenate(scenes)), np.sort(np.concatenate(found)))


def _moments(vectors: Vectors) -> tuple[Vectors, Vectors]:
    """Mean and shrunk covariance of (N, F) vectors.

    The correlation is shrunk towards the identity, since there can be fewer vectors than features. The amount follows
    the oracle approximating shrinkage estimator of Chen et al. (2010), https://doi.org/10.1109/TSP.2010.2053029.
    """
    mean = vectors.mean(axis=0)
    deviation = np.maximum(vectors.std(axis=0), 1e-6)
    standard = (vectors - mean) / deviation
    count, features = vectors.shape
    correlation = standard.T @ standard / count
    squared, trace = float(np.square(correlation).sum()), float(np.trace(correlation))
    above = (1 - 2 / features) * squared + trace**2
    below = (count + 1 - 2 / features) * (squared - trace**2 / features)
    shrinkage = 1.0 if below <= 0 else min(1.0, above / below)
    shrunk = (1 - shrinkage) * correlation + shrinkage * np.eye(features)
    return mean, shrunk * np.outer(deviation, deviation)


def add_features(folder: Path, description: FeatureDescription) -> ModelPackage:
    """Write the description of features to a package, and its hash to the package's description file.

    Raises:
        PackageError: The package is missing or damaged.
        WriteError: The package cannot be written.
    """
    values = {
        "mean": description.mean.astype(np.float32),
        "covariance": description.covariance.astype(np.float32),
        "distances": description.distances.astype(np.float32),
    }
    return add_arrays(folder, FEATURES, values, "features_sha256")


def read_features(folder: Path, package: ModelPackage) -> FeatureDescription | None:
    """Read the description of features from a package; None if the package has none.

    Raises:
        PackageError: The file is missing or damaged, or its hash differs from the one in the package's description
            file.
    """
    if package.features_sha256 is None:
        return None
    path, remedy = folder / FEATURES, "export the model again"
    found = read_arrays(path, package.features_sha256, remedy)
    try:
        values = {name: value.astype(np.float64) for name, value in found.items()}
        return FeatureDescription(values["mean"], values["covariance"], values["distances"])
    except KeyError as error:
        raise PackageError(f"{path}: missing or damaged ({error}); {remedy}") from error
