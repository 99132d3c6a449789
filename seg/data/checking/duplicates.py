"""Pixels that a dataset holds twice: equal images under two names, and footprints that overlap."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import shapely
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from seg.data.checking.findings import Finding, error, warning
from seg.data.checking.scenes import CheckedScene

MARGIN = 0.25
"""Footprints lose so many pixels on each side, so that neighbours which a reprojection bends do not overlap."""

_EDGE_PARTS = 16
"""A straight edge bends when it is reprojected; so many pieces of it follow."""


def duplicate_findings(scenes: Sequence[CheckedScene]) -> Iterator[Finding]:
    """Images whose valid pixels are equal; an error where one is trained on while the other is held out.

    Args:
        scenes: What the dataset holds. Images of one value are left out, since they are equal without being copies.
    """
    for group in _equal(scenes):
        for place, copy in enumerate(group[1:], start=1):
            earlier = group[:place]
            apart = [scene for scene in earlier if scene.scene.fold != copy.scene.fold]
            original = (apart or earlier)[0].scene
            what = f"holds the same pixels as {original.image}"
            if apart:
                message = f"{what}, which is in fold {original.fold}, not {copy.scene.fold}, so one would be tested on"
                yield error("duplicate-across-folds", copy.scene.image, f"{message} what it learned; keep one of them")
            else:
                yield warning("duplicate", copy.scene.image, f"{what}, in the same fold; keep one of them")


def overlap_findings(scenes: Sequence[CheckedScene]) -> Iterator[Finding]:
    """Georeferenced scenes that share ground; an error where one is trained on while the other is held out.

    The footprint of a scene is the smallest window with all its valid pixels. Copies of one image are left out.

    Args:
        scenes: What the dataset holds.
    """
    copies = {frozenset((a.scene.image, b.scene.image)) for group in _equal(scenes) for a, b in combinations(group, 2)}
    for first, second in _overlapping([scene for scene in scenes if _footprint(scene) is not None]):
        a, b = first.scene, second.scene
        if frozenset((a.image, b.image)) in copies:
            continue
        if a.fold == b.fold:
            yield warning("overlap", b.image, f"overlaps {a.image} in the same fold, so shared ground counts twice")
        else:
            message = f"overlaps {a.image}, which is in fold {a.fold}, not {b.fold}, so one would be tested on ground"
            yield error("overlap-across-folds", b.image, f"{message} that it learned; put both into one fold")


def _equal(scenes: Sequence[CheckedScene]) -> list[list[CheckedScene]]:
    groups: dict[str, list[CheckedScene]] = defaultdict(list)
    for scene in scenes:
        if scene.pixels and scene.pixels.valid and len(scene.pixels.constant) < len(scene.pixels.bands):
            groups[scene.pixels.digest].append(scene)
    return [group for group in groups.values() if len(group) > 1]


def _overlapping(scenes: Sequence[CheckedScene]) -> Iterator[tuple[CheckedScene, CheckedScene]]:
    """Pairs of scenes whose footprints share area, each pair once, compared in the CRS of the earlier one."""
    by_crs: dict[str, list[int]] = defaultdict(list)
    for place, scene in enumerate(scenes):
        by_crs[_crs(scene).to_wkt()].append(place)
    pairs = set()
    for places in by_crs.values():
        crs = _crs(scenes[places[0]])
        tree = shapely.STRtree([_footprint(scenes[place]) for place in places])
        shapes = [_brought_to(crs, scene) for scene in scenes]
        for other, hit in tree.query(shapes, predicate="intersects").T.tolist():
            if other != places[hit]:
                pairs.add((min(other, places[hit]), max(other, places[hit])))
    for first, second in sorted(pairs):
        yield scenes[first], scenes[second]


def _brought_to(crs: CRS, scene: CheckedScene) -> shapely.Polygon:
    shape = _footprint(scene) or shapely.Polygon()
    if _crs(scene) == crs:
        return shape
    longest = max(np.hypot(*np.diff(shape.exterior.coords.xy)))
    pieces = shapely.segmentize(shape, longest / _EDGE_PARTS)
    try:
        transformer = Transformer.from_crs(_crs(scene).to_wkt(), crs.to_wkt(), always_xy=True)
        bent = shapely.transform(pieces, transformer.transform, interleaved=False)
    except ProjError:  # A local CRS leads to no other.
        return shapely.Polygon()
    # What lies outside the area of a CRS has no place in it, so nothing there can be compared.
    return bent if np.isfinite(bent.bounds).all() else shapely.Polygon()


def _footprint(scene: CheckedScene) -> shapely.Polygon | None:
    """The outline of the valid pixels, less the margin; None where a scene says not where it lies."""
    if scene.grid is None or scene.grid.crs is None or scene.grid.transform.is_identity or scene.pixels is None:
        return None
    window = scene.pixels.inside
    if window is None:
        return None
    left, top = window.col_off + MARGIN, window.row_off + MARGIN
    right, bottom = window.col_off + window.width - MARGIN, window.row_off + window.height - MARGIN
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return shapely.Polygon([scene.grid.transform @ corner for corner in corners])


def _crs(scene: CheckedScene) -> CRS:
    if scene.grid is None or scene.grid.crs is None:
        raise ValueError("a scene without a CRS has no footprint")
    return scene.grid.crs
