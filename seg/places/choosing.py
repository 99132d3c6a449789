"""Greedy choice among candidate squares by uncertainty and novelty, or by similarity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyproj

from seg.package.features import Vectors

_EARTH = pyproj.Geod(ellps="WGS84")


@dataclass(frozen=True)
class Candidates:
    """Squares to choose from.

    Attributes:
        entropy: (N,) mean entropy of the probability in bits, 0 to 1.
        vectors: (N, F) pooled features.
        centres: (N, 2) longitude and latitude.
        zones: Name of each square's zone; if there are no zones, all squares have the same name.
        similarity: (N,) cosine similarity to examples, -1 to 1; None for a choice by uncertainty and novelty.
    """

    entropy: npt.NDArray[np.float64]
    vectors: Vectors
    centres: Vectors
    zones: Sequence[str]
    similarity: npt.NDArray[np.float64] | None = None


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

    The score is entropy times novelty. Novelty is the distance from the nearest chosen square in the space of pooled
    features, each scaled to standard deviation 1. The first square is compared with the mean of all candidates.

    Args:
        candidates: Squares to choose from.
        count: Number of squares; fewer are chosen if all remaining candidates are too near to chosen squares.
        least_distance_m: Smallest distance in metres between the centres of two squares.

    Returns:
        The squares in the order of their choice.
    """
    left = zone_quotas(candidates.zones, count)
    scaled = _scaled(candidates.vectors)
    novelty = np.linalg.norm(scaled, axis=1)
    free = np.ones(len(scaled), dtype=bool)
    chosen: list[Chosen] = []
    while len(chosen) < count:
        open_zone = np.array([left[zone] > 0 for zone in candidates.zones])
        score = candidates.entropy * novelty if candidates.similarity is None else candidates.similarity
        allowed = np.where(free & open_zone, score, -np.inf)
        best = int(np.argmax(allowed))
        if not np.isfinite(allowed[best]):
            break
        chosen.append(Chosen(best, float(score[best]), _reason(candidates, best, float(novelty[best]), bool(chosen))))
        left[candidates.zones[best]] -= 1
        distance = np.linalg.norm(scaled - scaled[best], axis=1)
        novelty = np.minimum(novelty, distance) if len(chosen) > 1 else distance
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


def _scaled(vectors: Vectors) -> Vectors:
    deviation = vectors.std(axis=0)
    scaled = (vectors - vectors.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    return np.asarray(scaled / np.sqrt(vectors.shape[1]), dtype=np.float64)


def _metres_from(centres: Vectors, index: int) -> npt.NDArray[np.float64]:
    lon, lat = (np.full(len(centres), value) for value in centres[index])
    _, _, metres = _EARTH.inv(lon, lat, centres[:, 0], centres[:, 1])
    return np.asarray(metres, dtype=np.float64)


def _reason(candidates: Candidates, index: int, novelty: float, follows: bool) -> str:
    if candidates.similarity is not None:
        return f"similarity {candidates.similarity[index]:.2f} to the examples"
    entropy = candidates.entropy[index]
    share = float((candidates.entropy < entropy).mean())
    others = "the earlier squares" if follows else "the mean of the place"
    return f"less certain than {share:.0%} of the squares ({entropy:.2f} bits), distance {novelty:.2f} from {others}"
