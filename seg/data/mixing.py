"""New samples from parts of others; mask and validity come with the pixels. For chips, which have one size."""

from collections.abc import Sequence

import numpy as np

from seg.data.datasets import Sample
from seg.errors import DatasetError

Place = tuple[slice, slice]


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
