"""Split of a dataset by whole scenes; neighbouring scenes stay together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from seg.data.dataset.catalogue import Scene
from seg.data.dataset.checks import count_labels
from seg.data.settings import SplitRule
from seg.data.splitting.cells import fitting_block_m
from seg.data.splitting.folds import Labels, Place, assign_places
from seg.errors import DatasetError
from seg.raster.grid import Grid
from seg.raster.ground.distances import near_pairs
from seg.terminal.progress import with_progress
from seg.terminal.text import counted


def group_neighbours(grids: Sequence[Grid], guard_m: float) -> list[list[int]]:
    """Group rasters that are nearer than the guard; chains of near rasters form one group.

    Args:
        grids: Grid of each raster.
        guard_m: Smallest distance in metres between rasters of different groups.

    Returns:
        Sorted indexes of the rasters in each group, groups in the order of their first raster.
    """
    pairs = np.array(list(near_pairs(grids, guard_m)), dtype=np.int64).reshape(-1, 2)
    near = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(grids), len(grids)))
    count, group_of = connected_components(near, directed=False)
    return sorted(np.flatnonzero(group_of == group).tolist() for group in range(count))


def split_scenes(
    root: Path, found: list[tuple[Scene, Grid]], places: list[list[int]], rule: SplitRule
) -> list[tuple[Scene, Labels]]:
    """Assign scenes to folds, and count the labels of each scene.

    Args:
        root: The dataset, for messages.
        found: Scenes with their grids.
        places: Indexes of the scenes of each place; the scenes of a place stay in one fold.
        rule: Folds, seed and guard.

    Raises:
        DatasetError: There are fewer places than folds.
        RasterError: A mask cannot be read.
    """
    if len(places) < rule.folds:
        raise DatasetError(
            f"{root}: has {counted(len(found), 'scene')} in {counted(len(places), 'place')} "
            f"at least {rule.guard_m:g} m apart, too few to fill {rule.folds} folds; "
            f"{_ways_out(len(places), [grid for _, grid in found], rule)}"
        )
    counts = [count_labels(scene) for scene, _ in with_progress(found, "reading masks")]
    labels = np.array([(count.cropland, count.other) for count in counts])
    pixels = np.array([grid.height * grid.width for _, grid in found])
    sums = [Place(len(place), int(pixels[place].sum()), _share(labels[place].sum(axis=0))) for place in places]
    fold_of = [0] * len(found)
    for place, fold in zip(places, assign_places(sums, rule.folds, rule.seed, rule.stratify), strict=True):
        for index in place:
            fold_of[index] = fold
    return [(replace(scene, fold=fold_of[i]), labels[i]) for i, (scene, _) in enumerate(found)]


def _ways_out(places: int, grids: Sequence[Grid], rule: SplitRule) -> str:
    """Options that let a dataset with too few places fill the folds."""
    ways = [f"--folds={places}"] if places > 1 else []
    ways += ["a smaller --guard-m"] if places < len(grids) >= rule.folds and rule.guard_m else []
    block = fitting_block_m(grids, rule.folds, rule.guard_m)
    ways += [f"--by=blocks --block-size-m={block:g}"] if block else []
    return f"choose {' or '.join(ways)}" if ways else "add scenes of other places, or choose a smaller --guard-m"


def _share(labels: Labels) -> float:
    return float(labels[0] / max(labels.sum(), 1))
