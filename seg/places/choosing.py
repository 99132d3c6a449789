"""Greedy choice among candidate squares by uncertainty and novelty, or by similarity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyproj

from seg.package.features import Vectors

_EARTH = pyproj.Geod(ellps="WGS84")

MOST_NOVEL = 0.9
"""Quantile of the novelty of the remaining candidates at which novelty is cut off. Without a limit, the first squares
would be outliers such as clouds and quarries, which are rare and teach little about the rest of the place."""


_MEAN, _EARLIER, _LABELLED = "the mean of the place", "the earlier squares", "the labelled and earlier squares"


@dataclass(frozen=True)
class Candidates:
    """Squares to choose from.

    Attributes:
        entropy: (N,) mean entropy of the probability in bits, 0 to 1.
        vectors: (N, F) pooled features.
        centres: (N, 2) longitude and latitude.
        zones: Name of each square's zone; if there are no zones, all squares have the same name.
        similarity: (N,) cosine similarity to examples, -1 to 1; None for a choice by uncertainty and novelty.
        labelled: (M, F) pooled features of squares that have labels already; None if there are no such squares.
    """

    entropy: npt.NDArray[np.float64]
    vectors: Vectors
    centres: Vectors
    zones: Sequence[str]
    similarity: npt.NDArray[np.float64] | None = None
    labelled: Vectors | None = None


@dataclass(frozen=True)
class Chosen:
    """A chosen square.

    Attributes:
        index: Index of the square among the candidates.
        score: Product of uncertainty and novelty, or similarity.
        reason: Explanation in words.
    """

    index: int
    score: float
    reason: str


def choose_squares(candidates: Candidates, count: int, least_distance_m: float) -> list[Chosen]:
    """Choose squares one after the other; each is the best of the remaining candidates.

    The score is entropy times novelty. Novelty is the distance from the nearest square that is labelled or chosen, in
    the space of pooled features, each scaled to standard deviation 1. If no square is labelled, the first square is
    compared with the mean of all candidates. Novelty counts only up to the quantile MOST_NOVEL.

    Args:
        candidates: Squares to choose from.
        count: Number of squares; fewer are chosen if all remaining candidates are too near to chosen squares.
        least_distance_m: Smallest distance in metres between the centres of two squares.

    Returns:
        The squares in the order of their choice.
    """
    left = zone_quotas(candidates.zones, count)
    scaled, novelty, others = _first_novelty(candidates)
    free = np.ones(len(scaled), dtype=bool)
    chosen: list[Chosen] = []
    while len(chosen) < count:
        open_now = free & np.array([left[zone] > 0 for zone in candidates.zones])
        if not open_now.any():
            break
        score = candidates.similarity
        if score is None:
            score = candidates.entropy * np.minimum(novelty, np.quantile(novelty[open_now], MOST_NOVEL))
        best = int(np.argmax(np.where(open_now, score, -np.inf)))
        chosen.append(Chosen(best, float(score[best]), _reason(candidates, best, float(novelty[best]), others)))
        left[candidates.zones[best]] -= 1
        distance = np.linalg.norm(scaled - scaled[best], axis=1)
        novelty = distance if others == _MEAN else np.minimum(novelty, distance)
        others = _LABELLED if candidates.labelled is not None else _EARLIER
        free &= _metres_from(candidates.centres, best) >= max(least_distance_m, 1e-6)
    return chosen


def zone_quotas(zones: Sequence[str], count: int) -> dict[str, int]:
    """Number of squares for each zone, in proportion to its candidates, and at least one if `count` is large enough.

    Args:
        zones: Zone of each candidate.
        count: Number of squares in all.
    """
    names, sizes = np.unique(np.asarray(zones, dtype=object).astype(str), return_counts=True)
    exact = sizes / sizes.sum() * count
    least = 1 if len(names) <= count else 0
    quotas = np.maximum(np.floor(exact), least).astype(int)
    while quotas.sum() > count:
        quotas[np.argmax(np.where(quotas > least, quotas - exact, -np.inf))] -= 1
    while quotas.sum() < count:
        quotas[np.argmax(exact - quotas)] += 1
    return dict(zip(names.tolist(), quotas.tolist(), strict=True))


def _first_novelty(candidates: Candidates) -> tuple[Vectors, Vectors, str]:
    """Scaled features (N, F), the novelty of each candidate before the first choice, and what it is measured from."""
    vectors, known = candidates.vectors, candidates.labelled
    deviation = vectors.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0) * np.sqrt(vectors.shape[1])
    scaled: Vectors = (vectors - vectors.mean(axis=0)) / scale
    if known is None:
        return scaled, np.linalg.norm(scaled, axis=1), _MEAN
    labelled = (known - vectors.mean(axis=0)) / scale
    distances = [np.linalg.norm(scaled - one, axis=1) for one in labelled]
    return scaled, np.min(distances, axis=0), _LABELLED


def _metres_from(centres: Vectors, index: int) -> npt.NDArray[np.float64]:
    lon, lat = (np.full(len(centres), value) for value in centres[index])
    _, _, metres = _EARTH.inv(lon, lat, centres[:, 0], centres[:, 1])
    return np.asarray(metres, dtype=np.float64)


def _reason(candidates: Candidates, index: int, novelty: float, others: str) -> str:
    if candidates.similarity is not None:
        return f"similarity {candidates.similarity[index]:.2f} to the examples"
    entropy = candidates.entropy[index]
    share = float((candidates.entropy < entropy).mean())
    certainty = f"less certain than {share:.0%} of the squares (entropy {entropy:.2f} bits)"
    return f"{certainty}, distance {novelty:.2f} from {others}"
