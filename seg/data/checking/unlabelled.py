"""Checks of each unlabelled scene, and checks that unlabelled scenes do not overlap held-out scenes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from seg.data.checking.duplicates import overlapping
from seg.data.checking.findings import Finding, error
from seg.data.checking.pixels import Reading
from seg.data.checking.scenes import CheckedScene, check_image
from seg.data.dataset.catalogue import Scene
from seg.data.dataset.unlabelled import read_unlabelled
from seg.terminal.progress import with_progress

NO_FOLD = -1
"""Fold of unlabelled scenes, which are never held out."""


def check_unlabelled_scenes(root: Path, named: Path | None, fold: int | None, reading: Reading) -> list[CheckedScene]:
    """Check each unlabelled scene that training would read, and collect all problems.

    Args:
        root: The dataset; its manifest may list unlabelled scenes.
        named: Other unlabelled scenes, named as for training; None for no others.
        fold: The held-out fold; None if no fold is held out.
        reading: Settings for reading images.

    Raises:
        DatasetError: A scene does not exist, or is listed twice.
        RasterError: A folder, a pattern or a list names no scene.
    """
    found = read_unlabelled(root, named, fold)
    scenes = [Scene(scene.image, scene.image, NO_FOLD, scene.weight) for scene in found]
    return [check_image(scene, reading) for scene in with_progress(scenes, "checking unlabelled scenes")]


def leak_findings(
    scenes: Sequence[CheckedScene], unlabelled: Sequence[CheckedScene], fold: int | None
) -> Iterator[Finding]:
    """Errors about unlabelled scenes that repeat the pixels of a held-out scene or overlap it.

    Args:
        scenes: Labelled scenes.
        unlabelled: Unlabelled scenes.
        fold: The held-out fold; None if no fold is held out.
    """
    held_out = [scene for scene in scenes if scene.scene.fold == fold]
    by_digest = {scene.pixels.digest: scene.scene for scene in held_out if scene.pixels and scene.pixels.valid}
    copies = set()
    for scene in unlabelled:
        original = by_digest.get(scene.pixels.digest) if scene.pixels else None
        if original is not None:
            copies.add(scene.scene.image)
            message = f"is unlabelled and has the same pixels as {original.image} of the held-out fold {fold}"
            yield error("unlabelled-held-out", scene.scene.image, f"{message}; leave it out")
    for one, other in overlapping([*held_out, *unlabelled]):
        if one.scene.fold == fold and other.scene.fold == NO_FOLD and other.scene.image not in copies:
            message = (
                f"is unlabelled and overlaps {one.scene.image} of the held-out fold {fold}, so a model would be "
                "trained where it is tested; leave the scene out or crop it"
            )
            yield error("unlabelled-overlap", other.scene.image, message)
