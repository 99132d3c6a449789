"""Split a dataset into spatially separate folds, and write the result."""

import sys
from collections.abc import Sequence
from pathlib import Path

from seg.data.dataset.catalogue import Scene, read_catalogue
from seg.data.dataset.checks import check_scene
from seg.data.dataset.manifest import MANIFEST, further_columns
from seg.data.dataset.unlabelled import unlabelled_rows
from seg.data.settings import SplitRule
from seg.data.splitting.blocks import split_blocks
from seg.data.splitting.folds import FoldSummary, summarise_folds
from seg.data.splitting.scenes import group_neighbours, split_scenes
from seg.data.splitting.write import (
    BLOCKS,
    SECOND,
    require_free,
    require_own_blocks,
    write_blocks,
    write_scenes,
)
from seg.errors import DatasetError
from seg.terminal.text import counted


def split_dataset(root: Path, output: Path, rule: SplitRule, replace: bool = False) -> list[FoldSummary]:
    """Split a dataset and write the manifest and, in a split by blocks, the blocks; return a summary of each fold.

    Pixels of different folds are at least a guard apart. If the dataset has a manifest, its other columns, such as the
    weight, are copied to the new manifest for each scene and for the blocks of each scene.

    Args:
        root: The dataset; folds in its manifest are ignored.
        output: Folder for the manifest; may be the dataset's folder.
        rule: Settings of the split.
        replace: Replace an existing manifest in that folder.

    Raises:
        DatasetError: The dataset is damaged or cannot fill the folds, or the output cannot or must not be written.
        RasterError: A file cannot be read, or a mask does not fit its image.
    """
    require_free(output, replace)
    _require_masks(root)
    scenes = read_catalogue(root, sys.maxsize, rule.labels)
    columns = further_columns(root)
    if rule.by == "blocks":
        require_own_blocks(output)
        _require_uncut(scenes, output)
    found = [(scene, check_scene(scene, [])) for scene in scenes]
    places = group_neighbours([grid for _, grid in found], rule.guard_m)
    if rule.by == "scene":
        dealt = split_scenes(root, found, places, rule)
        write_scenes(output, [scene for scene, _ in dealt], columns)
        return summarise_folds([(scene.fold, labels) for scene, labels in dealt], rule.folds)
    blocks = split_blocks(root, [[found[index] for index in place] for place in places], rule)
    write_blocks(output, [block for block, _ in blocks], columns)
    return summarise_folds([(block.fold, labels) for block, labels in blocks], rule.folds)


def _require_masks(root: Path) -> None:
    unlabelled = unlabelled_rows(root)
    if unlabelled:
        raise DatasetError(
            f"{root}: its manifest lists {counted(unlabelled, 'scene')} without a mask, but a split needs masks; "
            "remove these rows before the split, and name the scenes with --data.unlabelled in training"
        )


def _require_uncut(scenes: Sequence[Scene], output: Path) -> None:
    folders = {(output / name).resolve() for name in (BLOCKS, SECOND)}
    if any(folders.intersection(scene.image.resolve().parents) for scene in scenes):
        raise DatasetError(
            f"{output / MANIFEST}: lists blocks of an earlier split, and blocks cannot be split again; name the "
            f"original dataset with --input, or delete that file and its blocks to return to images/ and masks/"
        )
