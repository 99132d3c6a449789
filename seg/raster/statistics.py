"""Per-band mean and standard deviation over valid pixels, streamed."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seg.errors import RasterError


@dataclass(frozen=True)
class BandStatistics:
    """Mean and standard deviation of each band, in the scenes' stored units.

    Attributes:
        mean: One value a band.
        std: One value a band, above 0: a constant band counts as 1, so that normalising it gives 0.
        count: Valid pixels seen.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    count: int


def band_statistics(samples: Iterable[npt.NDArray[np.float32]]) -> BandStatistics:
    """The statistics of all samples together, one sample in memory at a time.

    Groups are merged by the update of Chan, Golub and LeVeque (1983), https://doi.org/10.1080/00031305.1983.10483115,
    which does not lose digits as a sum of squares would.

    Args:
        samples: (C, N) valid pixels each; N may be 0, C must not change.

    Raises:
        RasterError: There is no valid pixel at all.
    """
    count = 0
    mean = squares = np.zeros(0)
    for sample in samples:
        if sample.shape[1] == 0:
            continue
        values = sample.astype(np.float64)
        size, centre = values.shape[1], values.mean(axis=1)
        spread = np.square(values - centre[:, None]).sum(axis=1)
        if count == 0:
            count, mean, squares = size, centre, spread
            continue
        total, apart = count + size, centre - mean
        squares = squares + spread + apart**2 * (count * size / total)
        mean, count = mean + apart * (size / total), total
    if count == 0:
        raise RasterError("the training scenes hold no valid pixel, so bands have no statistics; check their nodata")
    std = np.sqrt(squares / count)
    std[std == 0] = 1.0
    return BandStatistics(tuple(mean.tolist()), tuple(std.tolist()), count)
