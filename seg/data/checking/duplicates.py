"""Findings about repeated pixels: copies of an image, and overlapping scenes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

from seg.data.checking.findings import Finding, error, warning
from seg.data.checking.scenes import CheckedScene
from seg.raster.grid import Grid
from seg.raster.ground.distances import near_pairs


def duplicate_findings(scenes: Sequence[CheckedScene]) -> Iterator[Finding]:
    """Findings about images with equal valid pixels; an error if their folds differ.

    Args:
        scenes: Scenes of the dataset. Images whose pixels all have the same value are left out, since they may be equal
            by chance.
    """
    for group in _equal(scenes):
        for place, copy in enumerate(group[1:], start=1):
            earlier = group[:place]
            other_folds = [scene for scene in earlier if scene.scene.fold != copy.scene.fold]
            original = (other_folds or earlier)[0].scene
            prefix = f"has the same pixels as {original.image}"
            if other_folds:
                message = f"{prefix}, but is in fold {copy.scene.fold}, not {original.fold}, so a model would be tested"
                yield error("duplicate-across-folds", copy.scene.image, f"{message} on training data; keep one of them")
            else:
                yield warning("duplicate", copy.scene.image, f"{prefix}, in the same fold; keep one of them")


def overlap_findings(scenes: Sequence[CheckedScene]) -> Iterator[Finding]:
    """Findings about georeferenced scenes that overlap; an error if their folds differ.

    The footprint of a scene is the smallest window with all its valid pixels. Images with equal pixels are left out,
    since `duplicate_findings` reports them.

    Args:
        scenes: Scenes of the dataset.
    """
    copies = {frozenset((a.scene.image, b.scene.image)) for group in _equal(scenes) for a, b in combinations(group, 2)}
    for first, second in overlapping(scenes):
        a, b = first.scene, second.scene
        if frozenset((a.image, b.image)) in copies:
            continue
        if a.fold == b.fold:
            yield warning("overlap", b.image, f"overlaps {a.image} in the same fold, so shared ground counts twice")
        else:
            message = f"overlaps {a.image}, but is in fold {b.fold}, not {a.fold}, so a model would be tested on"
            yield error("overlap-across-folds", b.image, f"{message} training ground; put both into one fold")


def _equal(scenes: Sequence[CheckedScene]) -> list[list[CheckedScene]]:
    groups: dict[str, list[CheckedScene]] = defaultdict(list)
    for scene in scenes:
        if scene.pixels and scene.pixels.valid and len(scene.pixels.constant) < len(scene.pixels.bands):
            groups[scene.pixels.digest].append(scene)
    return [group for group in groups.values() if len(group) > 1]


def overlapping(scenes: Sequence[CheckedScene]) -> Iterator[tuple[CheckedScene, CheckedScene]]:
    """Pairs of scenes whose footprints share more than a quarter of a pixel, each pair once."""
    placed = [(scene, part) for scene in scenes if (part := _valid_part(scene)) is not None]
    for first, second in near_pairs([part for _, part in placed], guard_m=0):
        yield placed[first][0], placed[second][0]


def _valid_part(scene: CheckedScene) -> Grid | None:
    """Grid of the smallest window with all valid pixels; None if the raster lacks a georeference or valid pixels."""
    grid, pixels = scene.grid, scene.pixels
    if grid is None or grid.crs is None or grid.transform.is_identity or pixels is None or pixels.inside is None:
        return None
    return grid.part(pixels.inside)
