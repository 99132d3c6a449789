"""Split a dataset by square blocks of the ground."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.data.dataset.catalogue import Scene
from seg.data.settings import SplitRule
from seg.data.splitting.cells import Cells, cut_cells, fitting_block_m, trims_between
from seg.data.splitting.folds import Labels, assign_blocks
from seg.data.splitting.write import Block
from seg.errors import DatasetError
from seg.labels import CROPLAND, OTHER
from seg.raster.classes import read_classes
from seg.raster.grid import Grid, open_raster
from seg.raster.label_mapping import LabelMapping
from seg.raster.windows import window_grid
from seg.terminal.progress import with_progress
from seg.terminal.text import counted

Place = list[tuple[Scene, Grid]]
"""Neighbouring scenes with their grids."""

_READ_SIZE = 2048
_FAR = 1e6
"""Distance between the positions of two places, in block sides. Blocks of different places are then never
neighbours."""


def split_blocks(root: Path, places: list[Place], rule: SplitRule) -> list[tuple[Block, Labels]]:
    """Cut all scenes into blocks, and count the labels of each block; blocks without labels are left out.

    Each labelled pixel is in exactly one block or in a guard between blocks of different folds.

    Args:
        root: The dataset, for messages.
        places: Scenes of the dataset; scenes of different places are at least a guard apart.
        rule: Settings of the split.

    Raises:
        DatasetError: A place cannot be cut, or there are too few blocks for the folds.
        RasterError: A mask cannot be read.
    """
    cells = [cut_cells([grid for _, grid in place], rule.block_size_m, rule.guard_m) for place in places]
    read = zip(with_progress(places, "reading masks"), cells, strict=True)
    labels = [_labels_of_cells(place, cut) for place, cut in read]
    # Place, row and column of each cell that has labels.
    labelled = np.array([(n, *cell) for n, counts in enumerate(labels) for cell in np.argwhere(counts.any(axis=-1))])
    grids = [grid for place in places for _, grid in place]
    _require_blocks(root, len(labelled), len(labelled), rule, grids)
    counts = np.array([labels[n][row, column] for n, row, column in labelled])
    fold_of = assign_blocks(counts, labelled[:, 1:] + _FAR * labelled[:, :1], rule.folds, rule.seed)
    names = _names([scene for place in places for scene, _ in place])
    blocks = []
    for number, (place, cut) in enumerate(zip(with_progress(places, "cutting blocks"), cells, strict=True)):
        folds, in_place = np.full(cut.shape, -1), labelled[:, 0] == number
        folds[tuple(labelled[in_place, 1:].T)] = fold_of[in_place]
        for scene, cell, window, count in _labelled_windows(place, cut, trims_between(folds)):
            name = f"{names[scene]}_r{cell[0]:03d}_c{cell[1]:03d}"
            blocks.append((Block(scene, name, window, int(folds[cell])), count))
    _require_blocks(root, len(blocks), len({block.fold for block, _ in blocks}), rule, grids)
    return blocks


def _labels_of_cells(place: Place, cells: Cells) -> Labels:
    """(R, C, 2) label counts of all scenes of a place in each cell."""
    labels = np.zeros((*cells.shape, 2), dtype=np.int64)
    for _, cell, _, count in _labelled_windows(place, cells, None):
        labels[cell] += count
    return labels


def _labelled_windows(
    place: Place, cells: Cells, trims: NDArray[np.bool_] | None
) -> Iterator[tuple[Scene, tuple[int, int], Window, Labels]]:
    """Scene, cell, window and label counts of each window with labels."""
    windows: dict[int, list[tuple[tuple[int, int], Window]]] = {}
    for number, cell, window in cells.windows(trims):
        windows.setdefault(number, []).append((cell, window))
    for number, of_scene in windows.items():
        scene, _ = place[number]
        with open_raster(scene.mask) as mask:
            for cell, window in of_scene:
                count = _count(mask, window, scene.labels)
                if count.any():
                    yield scene, cell, window, count


def _count(mask: DatasetReader, window: Window, mapping: LabelMapping) -> Labels:
    counts = np.zeros(2, dtype=np.int64)
    for part in window_grid(window.height, window.width, _READ_SIZE, _READ_SIZE):
        shifted = Window(window.col_off + part.col_off, window.row_off + part.row_off, part.width, part.height)
        classes = read_classes(mask, shifted, mapping)
        counts += np.count_nonzero(classes == CROPLAND), np.count_nonzero(classes == OTHER)
    return counts


def _require_blocks(root: Path, blocks: int, filled: int, rule: SplitRule, grids: Sequence[Grid]) -> None:
    if filled < rule.folds:
        fitting = fitting_block_m(grids, rule.folds, rule.guard_m)
        smaller = f"smaller blocks, such as --block-size-m={fitting:g}" if fitting else "a smaller guard"
        raise DatasetError(
            f"{root}: has {counted(blocks, 'block')} of {rule.block_size_m:g} m with labels, too few to fill "
            f"{rule.folds} folds with a guard of {rule.guard_m:g} m; choose {smaller}, or fewer folds"
        )


def _names(scenes: Sequence[Scene]) -> dict[Scene, str]:
    """Name for the blocks of each scene: the stem of its image, plus a number if several images have this stem."""
    counts_by_stem = Counter(scene.image.stem for scene in scenes)
    return {
        scene: scene.image.stem if counts_by_stem[scene.image.stem] == 1 else f"{scene.image.stem}-{number}"
        for number, scene in enumerate(scenes)
    }
