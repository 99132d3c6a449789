"""One ensemble member and its probability for each view; checks of values that all members must share."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import numpy as np

from seg.errors import ConfigError, PackageError
from seg.inference.augmentation import TestTimeAugmentation, Turn, resize_bilinear
from seg.inference.compute.backends import Backend, Pending, Probability
from seg.package.description import ModelPackage
from seg.package.features import FeatureDescription
from seg.raster.chips import FloatImage
from seg.raster.scene_statistics import Matching
from seg.raster.statistics import BandStatistics
from seg.raster.windows import round_up
from seg.terminal.text import counted

WIDEST_CONTEXT = 256
"""Context in pixels for a network with an unbounded receptive field; farther pixels are assumed to matter little."""

MODEL = "the model"
"""Name of a single model in messages."""


@dataclass(frozen=True)
class Member:
    """One model of an ensemble.

    Attributes:
        backend: Computes the probability of one image.
        package: Description of the model: stride, receptive field, fill values.
        name: Name of the model in messages.
        features: Description of the features of the training images; None if the package has no such description.
        matching: Change of the values of the scene that is mapped; None if the model does not normalise each scene by
            its own statistics, or if no scene was chosen yet.
    """

    backend: Backend
    package: ModelPackage
    name: str = MODEL
    features: FeatureDescription | None = None
    matching: Matching | None = None

    def reach(self, augmentation: TestTimeAugmentation) -> int:
        """Largest distance in pixels at which an input pixel affects a probability, over all views.

        If the receptive field is unbounded, this is the largest context that is used.
        """
        reach = WIDEST_CONTEXT if self.package.receptive_field is None else self.package.receptive_field
        if any(scale != 1 for scale in augmentation.fractions):
            reach += 2  # Resampling to the view adds one pixel, and resampling back adds another pixel.
        # At a scale below 1, a pixel of the view covers 1 / scale pixels of the scene.
        return math.ceil(reach / min(Fraction(1), *augmentation.fractions))

    def start_views(self, image: FloatImage, augmentation: TestTimeAugmentation) -> Iterator[Pending]:
        """Start the views of a (C, H, W) image one by one, on demand; each view gives an (H, W) probability.

        The image is padded at the bottom and the right to a multiple of the model's stride. The cells of the deepest
        feature map therefore cover the same scene pixels for every block size.
        """
        height, width = image.shape[1:]
        for scale in augmentation.fractions:
            aligned = self.package.stride * scale.denominator
            padded = self._padded(image, round_up(height, aligned), round_up(width, aligned))
            resized = _resized(padded, scale)
            for turn in augmentation.turns:
                yield partial(_undone, self.backend.start(turn.apply(resized)), turn, scale, (height, width))

    def of_scene(self, statistics: BandStatistics | None) -> "Member":
        """The member for one scene.

        Args:
            statistics: Statistics of the scene in its stored units; None if no model needs them.
        """
        if not self.package.normalises_scenes or statistics is None:
            return self
        return replace(self, matching=Matching(statistics, self.package.mean, self.package.std))

    def own_pixels(self, image: FloatImage) -> FloatImage:
        """Pixels as the network of this member expects them.

        Args:
            image: (C, H, W) in stored units, NaN without data.

        Returns:
            The same pixels, matched to the training images if the model normalises each scene, with the training mean
            of each band instead of NaN.

        Raises:
            ValueError: The model normalises each scene, but the statistics of the scene were not set.
        """
        if self.package.normalises_scenes:
            if self.matching is None:
                raise ValueError(f"{self.name}: normalises each scene, but has no statistics of the scene")
            image = self.matching.matched(image)
        missing = np.isnan(image)
        if not missing.any():
            return image
        return np.where(missing, np.asarray(self.package.mean, dtype=np.float32)[:, None, None], image)

    def _padded(self, image: FloatImage, height: int, width: int) -> FloatImage:
        """Pad an image at the bottom and the right to (C, height, width) with the training mean of each band."""
        if image.shape[1:] == (height, width):
            return image
        padded = np.empty((len(self.package.mean), height, width), dtype=np.float32)
        padded[:] = np.asarray(self.package.mean, dtype=np.float32)[:, None, None]
        padded[:, : image.shape[1], : image.shape[2]] = image
        return padded


def _resized(image: FloatImage, scale: Fraction) -> FloatImage:
    height, width = (int(length * scale) for length in image.shape[1:])
    return resize_bilinear(image, height, width)


def _undone(pending: Pending, turn: Turn, scale: Fraction, shape: tuple[int, int]) -> Probability:
    upright = turn.undo(pending())
    resized: Probability = _resized(upright[None], 1 / scale)[0]
    return resized[: shape[0], : shape[1]]


def require_alike(names: Sequence[str], packages: Sequence[ModelPackage]) -> None:
    """Reject models that cannot be averaged.

    Args:
        names: Name of each model in messages.
        packages: Description of each model.

    Raises:
        PackageError: The bands or the band order of a model differ from the first model, or two models have the same
            weights.
    """
    first, wanted = names[0], packages[0]
    hashes: dict[str, str] = {}
    for name, package in zip(names, packages, strict=True):
        if package.weights_sha256 in hashes:
            raise PackageError(
                f"{name}: has the same weights as {hashes[package.weights_sha256]}; give each model once"
            )
        hashes[package.weights_sha256] = name
        if len(package.bands) != len(wanted.bands):
            raise PackageError(
                f"{name}: takes {_bands(package)}, but {first} takes {_bands(wanted)}; "
                "models that are averaged must take the same bands"
            )
        if package.band_names != wanted.band_names and sorted(package.band_names) == sorted(wanted.band_names):
            raise PackageError(
                f"{name}: takes its bands in the order {', '.join(package.band_names)}, but {first} in the order "
                f"{', '.join(wanted.band_names)}; models that are averaged must take the same bands in one order"
            )


def decision_threshold(packages: Sequence[ModelPackage]) -> float:
    """Default threshold of a prediction: the mean of the thresholds of the models."""
    return sum(package.threshold for package in packages) / len(packages)


def common_nodata(members: Sequence[Member]) -> float | None:
    """Nodata value that was set in training for files that declare none; None if no model has such a value.

    A model without such a value was trained on files that declare their nodata value, so it accepts any value.

    Raises:
        ConfigError: Models have different values.
    """
    named = {member.package.nodata: member.name for member in reversed(members) if member.package.nodata is not None}
    if len(named) > 1:
        found = ", ".join(f"{value:g} ({name})" for value, name in named.items() if value is not None)
        raise ConfigError(f"the models have different nodata values, {found}; choose one with --nodata")
    return next(iter(named), None)


def _bands(package: ModelPackage) -> str:
    names = ", ".join(name for name in package.band_names if name)
    return counted(len(package.bands), "band") + (f" ({names})" if names else "")
