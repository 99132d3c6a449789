"""Assignment of blocks and scenes to folds, and a summary of each fold's labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg.terminal.text import text_table

Labels = NDArray[np.int64]
"""Two pixel counts: cropland, and other labels."""

_SPREAD = 0.5
"""Weight of the cost of neighbouring blocks in one fold, relative to the cost of unevenly distributed labels."""


@dataclass(frozen=True)
class FoldSummary:
    """Size and labels of one fold.

    Attributes:
        parts: Number of scenes, or of blocks.
        labelled: Pixels with a label.
        cropland: Pixels labelled cropland.
    """

    parts: int
    labelled: int
    cropland: int

    @property
    def cropland_share(self) -> float:
        """Share of cropland among the labelled pixels, 0 to 1; 0 if no pixel is labelled."""
        return self.cropland / max(self.labelled, 1)


def summarise_folds(parts: Iterable[tuple[int, Labels]], folds: int) -> list[FoldSummary]:
    """Summary of each fold, in the order of the fold numbers.

    Args:
        parts: Fold and label counts of each scene or block.
        folds: Number of folds.
    """
    numbers, pixels = np.zeros(folds, dtype=int), np.zeros((folds, 2), dtype=int)
    for fold, labels in parts:
        numbers[fold] += 1
        pixels[fold] += labels
    return [FoldSummary(int(n), int(sum(counts)), int(counts[0])) for n, counts in zip(numbers, pixels, strict=True)]


def fold_table(parts: str, folds: Sequence[FoldSummary]) -> str:
    """Table with one row per fold.

    Args:
        parts: Heading for the number of parts: "scenes" or "blocks".
        folds: Summary of each fold.
    """
    rows = [
        (str(number), str(fold.parts), str(fold.labelled), f"{fold.cropland_share:.3f}")
        for number, fold in enumerate(folds)
    ]
    return text_table(("fold", parts, "labelled pixels", "cropland share"), rows)


def assign_blocks(counts: Labels, centres: NDArray[np.float64], folds: int, seed: int) -> NDArray[np.int64]:
    """Assign blocks to folds so that folds have similar labels, and so that each fold spreads over the whole area.

    The assignment is greedy, from the block with the most labels to the block with the fewest. Each block is assigned
    to the fold with the lowest cost. The cost is high if the fold would then have more than its even share of cropland
    or of other labels, or if many neighbouring blocks are in the fold.

    Args:
        counts: (N, 2) pixels of cropland and pixels of other in each block; N is at least the number of folds.
        centres: (N, 2) centres of the blocks, in units of a typical block side.
        folds: Number of folds; no fold stays empty.
        seed: Seed that decides the order of blocks with similar numbers of labels.

    Returns:
        (N,) fold of each block, 0 to folds - 1.
    """
    shares = folds * (counts / np.maximum(counts.sum(axis=0), 1))
    wealth = shares.sum(axis=1) * np.random.default_rng(seed).uniform(0.8, 1.2, len(counts))
    fold_of = np.full(len(counts), -1)
    filled = np.zeros((folds, 2))
    near = np.zeros((len(counts), folds))
    for done, index in enumerate(np.argsort(-wealth, kind="stable")):
        cost = ((filled + shares[index]) ** 2 - filled**2).sum(axis=1) + _SPREAD * near[index]
        empty = ~np.isin(np.arange(folds), fold_of)
        if empty.sum() >= len(counts) - done:
            cost[~empty] = np.inf
        fold = np.argmin(cost)
        fold_of[index] = fold
        filled[fold] += shares[index]
        nearness = np.exp(-np.linalg.norm(centres - centres[index], axis=1))
        # Every fold that already has blocks costs more than 0. An empty fold is therefore cheapest, and no fold stays
        # empty.
        near[:, fold] += np.maximum(nearness, np.finfo(float).tiny)
    return fold_of


@dataclass(frozen=True)
class Place:
    """Scenes that must share a fold.

    Attributes:
        scenes: Number of scenes.
        pixels: Pixels of all scenes together.
        cropland_share: Cropland share of the labelled pixels.
    """

    scenes: int
    pixels: int
    cropland_share: float


def assign_places(places: list[Place], folds: int, seed: int, stratify: bool) -> list[int]:
    """Assign places to folds at random; no fold stays empty if there are as many places as folds.

    If every place has one scene, places are assigned in rounds, so the numbers of scenes of two folds differ by at most
    one. Otherwise, places are assigned in order of decreasing size, each to the fold with the fewest pixels so far.

    Args:
        places: Groups of scenes.
        folds: Number of folds.
        seed: Seed of all random choices.
        stratify: Assign places with similar cropland shares in rounds, so that every fold gets a similar mixture.

    Returns:
        The fold of each place.
    """
    random = np.random.default_rng(seed)
    order = [int(index) for index in random.permutation(len(places))]
    if stratify:
        order.sort(key=lambda index: places[index].cropland_share)
    rounds = stratify or all(place.scenes == 1 for place in places)
    size = folds if rounds else len(places)
    fold_of, filled = [-1] * len(places), [0] * folds
    for start in range(0, len(order), size):
        # The folds are shuffled, because min() returns the first of several equal folds.
        free = [int(fold) for fold in random.permutation(folds)]
        for index in sorted(order[start : start + size], key=lambda index: -places[index].pixels):
            fold = min(free, key=lambda fold: filled[fold])
            fold_of[index] = fold
            filled[fold] += places[index].pixels
            if rounds:
                free.remove(fold)
    return fold_of
