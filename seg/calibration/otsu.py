"""Otsu's threshold."""

import numpy as np
import numpy.typing as npt

BINS = 256

TRIMMED = (0.5, 99.5)
"""Percentiles between which values are counted; outliers would leave too few bins for the rest."""


def otsu_threshold(values: npt.NDArray[np.float32]) -> float:
    """Value that separates two groups so that the variance between the groups is largest.

    Otsu (1979), https://doi.org/10.1109/TSMC.1979.4310076, on a histogram of BINS bins.

    Args:
        values: (N,) finite values, at least one.

    Returns:
        Edge of the histogram between the groups; if several are equally good, their middle. The only value if all
        values are equal.
    """
    low, high = np.percentile(values.astype(np.float64), TRIMMED)
    if low == high:
        return float(low)
    counts, edges = np.histogram(np.clip(values, low, high), BINS, (low, high))
    below = np.cumsum(counts)[:-1]
    moments = np.cumsum(counts * (edges[1:] + edges[:-1]) / 2)
    total = int(counts.sum())
    divided = np.maximum(below * (total - below), 1)  # 0 only if a group is empty, where the numerator is 0 too
    apart = (moments[-1] * (below / total) - moments[:-1]) ** 2 / divided
    # In a gap between the groups, all thresholds are equally good.
    best = np.flatnonzero(apart >= apart.max() * (1 - 1e-9))
    return float(edges[1:-1][best[[0, -1]]].mean())
