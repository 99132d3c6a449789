"""Deal things out to folds: blocks so that folds are alike in labels, scenes so that folds are alike in size."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SPREAD = 0.5
"""Weight of a near block of the same fold against an uneven share of labels."""


def deal_blocks(counts: NDArray[np.int64], centres: NDArray[np.float64], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each block, 0 to folds - 1: folds alike in labels, and each spread over the ground.

    Greedy, from the block with the most labels to the one with the fewest: a block goes where it takes the fold least
    beyond an even share of all cropland and of all other labels, and where few blocks of the fold are near.

    Args:
        counts: (N, 2) pixels of cropland and of other labels; at least as many blocks as folds.
        centres: (N, 2) where the blocks lie, in units of a typical block's side.
        folds: Number of folds; none stays empty.
        seed: Shuffles the order of blocks with about as many labels, so that it gives another split.
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
        # Never 0, so that an empty fold is always the best place and none stays empty.
        near[:, fold] += np.maximum(nearness, np.finfo(float).tiny)
    return fold_of


@dataclass(frozen=True)
class Place:
    """Scenes that must share a fold.

    Attributes:
        scenes: How many they are.
        pixels: Pixels of all of them.
        cropland_share: Cropland among their labelled pixels.
    """

    scenes: int
    pixels: int
    cropland_share: float


def deal_places(places: list[Place], folds: int, seed: int, stratify: bool) -> list[int]:
    """The fold of each place, at random; no fold stays empty where there are as many places as folds.

    Places of one scene each are dealt round by round, so that folds differ by one scene at most. Where some hold
    several, a place goes to the fold with the fewest pixels so far, the largest places first.

    Args:
        places: What is dealt.
        folds: Number of folds.
        seed: Decides what is random.
        stratify: Deal round by round among places of like cropland share, so that every fold gets one of each kind.
    """
    random = np.random.default_rng(seed)
    order = [int(index) for index in random.permutation(len(places))]
    if stratify:
        order.sort(key=lambda index: places[index].cropland_share)
    rounds = stratify or all(place.scenes == 1 for place in places)
    size = folds if rounds else len(places)
    fold_of, filled = [-1] * len(places), [0] * folds
    for start in range(0, len(order), size):
        # Shuffled, as min() takes the first of equals.
        free = [int(fold) for fold in random.permutation(folds)]
        for index in sorted(order[start : start + size], key=lambda index: -places[index].pixels):
            fold = min(free, key=lambda fold: filled[fold])
            fold_of[index] = fold
            filled[fold] += places[index].pixels
            if rounds:
                free.remove(fold)
    return fold_of
