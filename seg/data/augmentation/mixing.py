"""Mixing of equally large chips by CutMix and mosaic; mask and validity move with the pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from seg.data.sample import Sample
from seg.errors import ConfigError, DatasetError
from seg.labels import IGNORE

Place = tuple[slice, slice]


@dataclass(frozen=True, kw_only=True)
class MixingConfig:
    """Shares of training chips that are mixed from several chips. These settings need data.chips.size.

    Args:
        cut_mix: Share of the chips that get a rectangle from the same position in another chip.
        mosaic: Share of the chips that consist of windows of four chips, one in each corner.

    Raises:
        ConfigError: A share is outside 0 to 1, or the shares add up to more than 1.
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
                f"data.mixing.cut_mix is {self.cut_mix:g} and data.mixing.mosaic is {self.mosaic:g}; wanted a sum "
                "of at most 1, because each chip is mixed in one way"
            )

    @property
    def active(self) -> bool:
        """True if any chip is mixed."""
        return self.cut_mix + self.mosaic > 0


def mix_or_keep(
    sample: Sample, another: Callable[[int], Sample], config: MixingConfig, generator: np.random.Generator
) -> Sample:
    """Mix a sample with other chips, or return it unchanged; the choice is random.

    Args:
        sample: A chip.
        another: Function that loads another chip of the same size. The arguments 1, 2 and 3 load different chips.
        config: Probabilities of CutMix and mosaic.
        generator: Source of all random choices.

    Raises:
        DatasetError: The chips differ in size or number of bands.
    """
    kind = generator.random()
    if kind < config.cut_mix:
        return cut_mix(sample, another(1), generator)
    if kind < config.cut_mix + config.mosaic:
        return mosaic([sample, *(another(number) for number in (1, 2, 3))], generator)
    return sample


def cut_mix(sample: Sample, other: Sample, generator: np.random.Generator) -> Sample:
    """Replace a rectangle of a sample by the same rectangle of another sample.

    See Yun et al. (2019), https://arxiv.org/abs/1905.04899.

    Raises:
        DatasetError: The samples differ in size or number of bands.
    """
    require_equal_shapes([sample, other])
    place = random_rectangle(sample.mask.shape, generator)
    mixed = copied(sample, with_missing=other.missing is not None)
    paste(mixed, place, other, place)
    return mixed


def random_rectangle(shape: tuple[int, ...], generator: np.random.Generator) -> Place:
    """Random rectangle with the aspect ratio of a (H, W) array; area and centre are uniformly distributed.

    Parts of the rectangle outside the array are cut off.
    """
    sides = np.array(shape)
    half = sides * np.sqrt(generator.random()) / 2
    centre = generator.random(2) * sides
    low, high = (np.clip(np.round(edge), 0, sides).astype(int) for edge in (centre - half, centre + half))
    return slice(low[0], high[0]), slice(low[1], high[1])


def mosaic(samples: Sequence[Sample], generator: np.random.Generator) -> Sample:
    """Join random windows of four samples, one window in each corner, at unchanged scale.

    See Bochkovskiy et al. (2020), https://arxiv.org/abs/2004.10934. Their mosaic also shrinks samples, which would
    change the ground resolution.

    Args:
        samples: Upper left, upper right, lower left and lower right sample; a sample may occur several times.
        generator: Source of random numbers for the windows and for the point where they meet.

    Raises:
        DatasetError: There are not four samples, or they differ in size or number of bands.
    """
    if len(samples) != 4:
        raise DatasetError(f"a mosaic has {len(samples)} samples; wanted 4")
    require_equal_shapes(samples)
    height, width = samples[0].mask.shape
    row, column = (int(generator.integers(0, side, endpoint=True)) for side in (height, width))
    mixed = copied(samples[0], with_missing=any(sample.missing is not None for sample in samples))
    corners = [(rows, columns) for rows in ((0, row), (row, height)) for columns in ((0, column), (column, width))]
    for sample, ((top, bottom), (left, right)) in zip(samples, corners, strict=True):
        y = int(generator.integers(0, height - (bottom - top), endpoint=True))
        x = int(generator.integers(0, width - (right - left), endpoint=True))
        source = slice(y, y + bottom - top), slice(x, x + right - left)
        paste(mixed, (slice(top, bottom), slice(left, right)), sample, source)
    return mixed


def copied(sample: Sample, with_missing: bool = False) -> Sample:
    """Writable copy of a sample.

    Args:
        sample: The sample.
        with_missing: Add a layer of missing dates if the sample has none, for pixels of other samples.
    """
    percent = None if sample.percent is None else sample.percent.copy()
    missing = None if sample.missing is None else sample.missing.copy()
    if missing is None and with_missing:
        missing = np.zeros(sample.mask.shape, np.uint16)
    return Sample(sample.image.copy(), sample.mask.copy(), sample.valid.copy(), percent, missing)


def paste(target: Sample, place: Place, source: Sample, part: Place) -> None:
    """Copy all layers from a part of one sample to an equally large place in another."""
    target.image[:, *place] = source.image[:, *part]
    target.mask[place] = source.mask[part]
    target.valid[place] = source.valid[part]
    if target.percent is not None:
        target.percent[place] = IGNORE if source.percent is None else source.percent[part]
    if target.missing is not None:
        target.missing[place] = 0 if source.missing is None else source.missing[part]


def require_equal_shapes(samples: Sequence[Sample]) -> None:
    """Check that all samples have the same shape.

    Raises:
        DatasetError: The samples differ in size or number of bands.
    """
    shapes = [sample.image.shape for sample in samples]
    if len(set(shapes)) > 1:
        found = ", ".join("×".join(map(str, shape)) for shape in shapes)
        raise DatasetError(f"samples of {found} (bands, height, width) cannot be mixed; wanted chips of equal shape")
