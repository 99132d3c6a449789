"""Whether every fold can be held out and the others still teach both classes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from seg.data.checking.findings import (
    Finding,
    error,
    note,
    warning,
)
from seg.data.checking.scenes import CheckedScene
from seg.data.dataset.checks import require_both_classes
from seg.errors import DatasetError


def fold_findings(root: Path, scenes: Sequence[CheckedScene], folds: int) -> Iterator[Finding]:
    """What is wrong with the split of a dataset.

    Args:
        root: The dataset.
        scenes: What it holds.
        folds: Number of folds.
    """
    if not scenes:
        return
    known = [scene.labels for scene in scenes if scene.labels is not None]
    if len(known) == len(scenes) and not any(labels.other or labels.cropland for labels in known):
        yield error("no-labels", root, "no scene has a label where its image has data; wanted labelled scenes")
        return
    if len(scenes) == 1:
        yield note("one-scene", root, "holds one scene, so none is left to train on when it is held out; cut it")
        return
    used = sorted({scene.scene.fold for scene in scenes})
    if len(used) == 1:
        message = f"all {len(scenes)} scenes are in fold {used[0]}, so none is left to train on when it is held out"
        yield error("one-fold", root, f"{message}; spread them over the folds")
        return
    unused = [fold for fold in range(folds) if fold not in used]
    if unused:
        message = f"no scene is in fold {', '.join(map(str, unused))} of {folds}, which cannot be held out"
        yield warning("empty-fold", root, f"{message}; take fewer folds, or add scenes")
    for fold in used:
        yield from _training_findings(root, scenes, fold)


def _training_findings(root: Path, scenes: Sequence[CheckedScene], fold: int) -> Iterator[Finding]:
    training = [scene.labels for scene in scenes if scene.scene.fold != fold]
    known = [labels for labels in training if labels is not None]
    if len(known) < len(training):
        return  # A mask that cannot be read has a finding of its own, and may hold what is missing.
    try:
        require_both_classes(root, known)
    except DatasetError as problem:
        yield error("one-class", root, f"{problem} (when fold {fold} is held out)")
