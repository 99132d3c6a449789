"""One model of a prediction, and what it says of each view of an image."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from seg.errors import ConfigError, PackageError
from seg.inference.augmentation import TestTimeAugmentation, Turn, resize_bilinear
from seg.inference.compute.backends import Backend, Pending, Probability
from seg.package.description import ModelPackage
from seg.raster.chips import FloatImage
from seg.raster.windows import round_up
from seg.terminal.text import counted

WIDEST_CONTEXT = 256
"""Context in pixels for a network that sees the whole of a window: what lies beyond is taken to matter little."""


MODEL = "the model"
"""What messages call a model that is the only one."""


@dataclass(frozen=True)
class Member:
    """A model.

    Attributes:
        backend: Computes the probability of one image.
        package: The model's description: stride, receptive field, fill values.
        name: What messages call it.
    """

    backend: Backend
    package: ModelPackage
    name: str = MODEL

    def reach(self, augmentation: TestTimeAugmentation) -> int:
        """Pixels over which an input can reach a probability, to each side, in any view.

        For a network that sees the whole of a window, the widest context it is given.
        """
        reach = WIDEST_CONTEXT if self.package.receptive_field is None else self.package.receptive_field
        if any(scale != 1 for scale in augmentation.fractions):
            reach += 2  # resampling itself reaches a pixel on the way there, and one of the view's on the way back
        # A view at a scale below 1 sees as much further.
        return math.ceil(reach / min(Fraction(1), *augmentation.fractions))

    def start_views(self, image: FloatImage, augmentation: TestTimeAugmentation) -> Iterator[Pending]:
        """Begin with the next view whenever it is asked for; each gives an (H, W) probability of the (C, H, W) image.

        The image is first filled up at the bottom and the right, so far that each view meets the model's stride at the
        same scene pixels however the scene was cut.
        """
        height, width = image.shape[1:]
        for scale in augmentation.fractions:
            aligned = self.package.stride * scale.denominator
            padded = self.filled_to(image, round_up(height, aligned), round_up(width, aligned))
            resized = _resized(padded, scale)
            for turn in augmentation.turns:
                yield partial(_undone, self.backend.start(turn.apply(resized)), turn, scale, (height, width))

    def filled_to(self, image: FloatImage, height: int, width: int) -> FloatImage:
        """The (C, height, width) image with the training mean of each band added at the bottom and the right."""
        if image.shape[1:] == (height, width):
            return image
        filled = np.empty((len(self.package.mean), height, width), dtype=np.float32)
        filled[:] = np.asarray(self.package.mean, dtype=np.float32)[:, None, None]
        filled[:, : image.shape[1], : image.shape[2]] = image
        return filled

    def with_own_fill(self, image: FloatImage) -> FloatImage:
        """The image with the training mean of each band where it is NaN."""
        missing = np.isnan(image)
        if not missing.any():
            return image
        return np.where(missing, np.asarray(self.package.mean, dtype=np.float32)[:, None, None], image)


def _resized(image: FloatImage, scale: Fraction) -> FloatImage:
    height, width = (int(length * scale) for length in image.shape[1:])
    return resize_bilinear(image, height, width)


def _undone(pending: Pending, turn: Turn, scale: Fraction, shape: tuple[int, int]) -> Probability:
    upright = turn.undo(pending())
    resized: Probability = _resized(upright[None], 1 / scale)[0]
    return resized[: shape[0], : shape[1]]


def require_alike(names: Sequence[str], packages: Sequence[ModelPackage]) -> None:
    """Refuse models that cannot be averaged.

    Args:
        names: What messages call each model.
        packages: What is known of each.

    Raises:
        PackageError: One takes another number of bands than the first, the same in another order, or has the weights of
            an earlier one.
    """
    first, wanted = names[0], packages[0]
    hashes: dict[str, str] = {}
    for name, package in zip(names, packages, strict=True):
        if package.weights_sha256 in hashes:
            raise PackageError(
                f"{name}: has the same weights as {hashes[package.weights_sha256]}; name each model once"
            )
        hashes[package.weights_sha256] = name
        if len(package.bands) != len(wanted.bands):
            raise PackageError(
                f"{name}: takes {_bands(package)}, but {first} takes {_bands(wanted)}; "
                "models that are averaged get the same bands"
            )
        if package.band_names != wanted.band_names and sorted(package.band_names) == sorted(wanted.band_names):
            raise PackageError(
                f"{name}: takes its bands in the order {', '.join(package.band_names)}, but {first} in the order "
                f"{', '.join(wanted.band_names)}; models that are averaged get the same bands in one order"
            )


def decision_threshold(packages: Sequence[ModelPackage]) -> float:
    """Probability above which a pixel is cropland where none is asked for: the mean of the models' own."""
    return sum(package.threshold for package in packages) / len(packages)


def common_nodata(members: Sequence[Member]) -> float | None:
    """The further value that meant "no data" in training; None where there is none.

    A model without such a value was trained on files that declare theirs, and agrees with any.

    Raises:
        ConfigError: Models name different values.
    """
    named = {member.package.nodata: member.name for member in reversed(members) if member.package.nodata is not None}
    if len(named) > 1:
        found = ", ".join(f"{value:g} ({name})" for value, name in named.items() if value is not None)
        raise ConfigError(f"the models mean no data by different values, {found}; say which with --nodata")
    return next(iter(named), None)


def _bands(package: ModelPackage) -> str:
    names = ", ".join(name for name in package.band_names if name)
    return counted(len(package.bands), "band") + (f" ({names})" if names else "")
