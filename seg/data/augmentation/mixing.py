"""New samples from parts of others; mask and validity come with the pixels. For chips, which have one size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from seg.data.sample import Sample
from seg.errors import ConfigError, DatasetError

Place = tuple[slice, slice]


@dataclass(frozen=True, kw_only=True)
class MixingConfig:
    """How often a training chip is made of parts of several; only where data.chips.size is set.

    Args:
        cut_mix: Share of the chips in which a rectangle is that of another chip, in the same place.
        mosaic: Share of the chips that consist of windows of four chips, one in each corner.

    Raises:
        ConfigError: A share is not from 0 to 1, or together they are more than 1.
    """

    cut_mix: float = 0.0
    mosaic: float = 0.0

    def __post_init__(self) -> None:
        """Check the shares."""
        for name in ("cut_mix", "mosaic"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ConfigError(f"data.mixing.{name} is {share:g}; wanted a share of the chips, 0 to 1")
        if self.cut_mix + self.mosaic > 1:
            raise ConfigError(
                f"data.mixing.cut_mix is {self.cut_mix:g} and data.mixing.mosaic {self.mosaic:g}; wanted shares that "
                "are together 1 or less, as a chip is mixed one way"
            )

    @property
    def wanted(self) -> bool:
        """Whether any chip is mixed."""
        return self.cut_mix + self.mosaic > 0


def mixed_or_plain(
    sample: Sample, another: Callable[[int], Sample], config: MixingConfig, generator: np.random.Generator
) -> Sample:
    """The sample, mixed with others as often as the configuration says.

    Args:
        sample: A chip.
        another: Gives further chips of the same size by number, from 1; asked only for those that are needed.
        config: How often.
        generator: Decides whether, how and where.

    Raises:
        DatasetError: The chips differ in size or band count.
    """
    kind = generator.random()
    if kind < config.cut_mix:
        return cut_mix(sample, another(1), generator)
    if kind < config.cut_mix + config.mosaic:
        return mosaic([sample, *(another(number) for number in (1, 2, 3))], generator)
    return sample


def cut_mix(sample: Sample, other: Sample, generator: np.random.Generator) -> Sample:
    """The sample with a rectangle of the other in its place.

    The rectangle has the sample's proportions, any share of its area and any centre (its part outside is lost), as in
    Yun et al. (2019), https://arxiv.org/abs/1905.04899, with a uniform share.

    Raises:
        DatasetError: The two differ in size or band count.
    """
    require_equal_shapes([sample, other])
    sides = np.array(sample.mask.shape)
    half = sides * np.sqrt(generator.random()) / 2
    centre = generator.random(2) * sides
    low, high = (np.clip(np.round(edge), 0, sides).astype(int) for edge in (centre - half, centre + half))
    place = slice(low[0], high[0]), slice(low[1], high[1])
    mixed = copied(sample)
    paste(mixed, place, other, place)
    return mixed


def mosaic(samples: Sequence[Sample], generator: np.random.Generator) -> Sample:
    """Four samples in the four corners of one, each a random window of its own, at its own scale.

    After Bochkovskiy et al. (2020), https://arxiv.org/abs/2004.10934, without the shrinking, which would change the
    ground resolution.

    Args:
        samples: Upper left, upper right, lower left, lower right; one may stand twice.
        generator: Draws where the four meet and which window of each is taken.

    Raises:
        DatasetError: There are not four, or they differ in size or band count.
    """
    if len(samples) != 4:
        raise DatasetError(f"a mosaic is made of 4 samples, not {len(samples)}")
    require_equal_shapes(samples)
    height, width = samples[0].mask.shape
    row, column = (int(generator.integers(0, side, endpoint=True)) for side in (height, width))
    mixed = copied(samples[0])
    corners = [(rows, columns) for rows in ((0, row), (row, height)) for columns in ((0, column), (column, width))]
    for sample, ((top, bottom), (left, right)) in zip(samples, corners, strict=True):
        y = int(generator.integers(0, height - (bottom - top), endpoint=True))
        x = int(generator.integers(0, width - (right - left), endpoint=True))
        source = slice(y, y + bottom - top), slice(x, x + right - left)
        paste(mixed, (slice(top, bottom), slice(left, right)), sample, source)
    return mixed


def copied(sample: Sample) -> Sample:
    """A sample of the same content that may be written to."""
    return Sample(sample.image.copy(), sample.mask.copy(), sample.valid.copy())


def paste(target: Sample, place: Place, source: Sample, part: Place) -> None:
    """Write a part of one sample, pixels, labels and validity, to a place of equal size in another."""
    target.image[:, *place] = source.image[:, *part]
    target.mask[place] = source.mask[part]
    target.valid[place] = source.valid[part]


def require_equal_shapes(samples: Sequence[Sample]) -> None:
    """Refuse samples that do not fit each other.

    Raises:
        DatasetError: They differ in size or band count.
    """
    shapes = [sample.image.shape for sample in samples]
    if len(set(shapes)) > 1:
        found = ", ".join("×".join(map(str, shape)) for shape in shapes)
        raise DatasetError(f"samples of {found} (bands, height, width) cannot be mixed; wanted chips of one size")
