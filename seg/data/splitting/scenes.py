"""Split a dataset by whole scenes; those that lie near each other stay together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from seg.data.dataset.catalogue import Scene
from seg.data.dataset.checks import count_labels
from seg.data.splitting.dealing import Place, deal_places
from seg.data.splitting.rule import SplitRule
from seg.data.splitting.shares import Labels
from seg.errors import DatasetError
from seg.raster.grid import Grid
from seg.raster.ground.distances import near_pairs
from seg.terminal.progress import tracked


def together(grids: Sequence[Grid], guard_m: float) -> list[list[int]]:
    """The indexes of the rasters that must share a fold, in groups: overlapping, too near, or so by way of others.

    Args:
        grids: The rasters'.
        guard_m: Rasters of different groups are as far apart, or farther.
    """
    group = list(range(len(grids)))
    members = {index: [index] for index in group}
    for one, other in near_pairs(grids, guard_m):
        small, large = sorted((group[one], group[other]), key=lambda number: len(members[number]))
        if small != large:
            for index in members[small]:
                group[index] = large
            members[large] += members.pop(small)
    return sorted(sorted(indexes) for indexes in members.values())


def split_scenes(
    root: Path, found: list[tuple[Scene, Grid]], places: list[list[int]], rule: SplitRule
) -> list[tuple[Scene, Labels]]:
    """The scenes with their new folds, and the labels of each.

    Args:
        root: The dataset, for messages.
        found: Its scenes.
        places: Indexes of the scenes that stay together.
        rule: How to split.

    Raises:
        DatasetError: There are fewer places than folds.
        RasterError: A mask cannot be read.
    """
    if len(places) < rule.folds:
        raise DatasetError(
            f"{root}: number of scenes is {len(found)}, in {len(places)} places {rule.guard_m:g} m or more apart, "
            f"which cannot fill {rule.folds} folds; take fewer folds or a smaller guard, or split by blocks"
        )
    counts = [count_labels(scene) for scene, _ in tracked(found, "reading masks")]
    labels = np.array([(count.cropland, count.other) for count in counts])
    pixels = np.array([grid.height * grid.width for _, grid in found])
    sums = [Place(len(place), int(pixels[place].sum()), _share(labels[place].sum(axis=0))) for place in places]
    fold_of = [0] * len(found)
    for place, fold in zip(places, deal_places(sums, rule.folds, rule.seed, rule.stratify), strict=True):
        for index in place:
            fold_of[index] = fold
    return [(replace(scene, fold=fold_of[i]), labels[i]) for i, (scene, _) in enumerate(found)]


def _share(labels: Labels) -> float:
    return float(labels[0] / max(labels.sum(), 1))
