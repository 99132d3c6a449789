"""Findings about scenes that differ from the other scenes of a dataset."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np

from seg.data.checking.findings import Finding, error, note, warning
from seg.data.checking.scenes import CheckedScene
from seg.raster.grid import Grid
from seg.raster.ground.crs import crs_key, crs_name
from seg.terminal.text import first_numbers

PIXEL_SIZE_RATIO = 1.5
SCALE_RATIO = 20
"""Largest plausible ratio between the peak values of a scene and of the usual scene. Two scenes in different units
differ by more than this ratio, for example reflectance from 0 to 1 and from 0 to 10000, 8 and 16 bits, or decibels and
powers. Scenes of different ground, such as clouds and forest, do not differ by more than this ratio in all bands."""

SPREADS = 5
"""Largest plausible difference between a scene's median and the usual median of a scene. The unit is the usual distance
between the 2nd and the 98th percentile of a scene; "usual" values are medians over all scenes. Larger differences
suggest other units; seasons and crops cause smaller differences."""

ONE_CLASS_SHARE = 0.25
"""If at most this share of the scenes has labels of only one class, these scenes are reported as warnings, since their
masks probably failed. If the share is larger, these scenes are reported as notes, since single-class scenes are common
in datasets of small scenes."""

_FEWEST = 3
"""Smallest number of scenes that are compared. With only two scenes, it would be unclear which one is wrong."""


def consistency_findings(scenes: Sequence[CheckedScene], named_bands: bool) -> Iterator[Finding]:
    """Findings about scenes with unusual bands, data type, CRS, pixel size, values or labels.

    Args:
        scenes: Scenes of the dataset.
        named_bands: True if the user named the bands to read, so that images may have additional bands.
    """
    grids = [scene.grid for scene in scenes if scene.grid is not None]
    short = {f.file for scene in scenes for f in scene.findings if f.kind == "too-few-bands"}
    severity = warning if named_bands else error
    for grid, usual in _odd(grids, lambda grid: grid.bands):
        if grid.path not in short:
            message = f"has {grid.bands} bands, but most images have {usual}; store the same bands in all images"
            yield severity("band-count", grid.path, message)
    for grid, usual in _odd(grids, lambda grid: grid.dtype):
        message = f"has data type {grid.dtype}, but most images have {usual}; check that the units are the same"
        yield warning("dtype", grid.path, message)
    for grid, _ in _odd(grids, lambda grid: grid.scaling):
        message = "states other scales and offsets than most images; convert all images to the same scale and offset"
        yield warning("scale-offset", grid.path, message)
    yield from _crs_findings(grids)
    yield from _pixel_size_findings(grids)
    yield from _range_findings([scene for scene in scenes if scene.pixels and scene.pixels.bands])
    yield from _share_findings(scenes)


def _odd(grids: Sequence[Grid], key: Callable[[Grid], Hashable]) -> Iterator[tuple[Grid, Hashable]]:
    """Grids whose key differs from the most common key, each with the most common key."""
    values = Counter(key(grid) for grid in grids)
    if len(values) > 1:
        [(usual, _)] = values.most_common(1)
        yield from ((grid, usual) for grid in grids if key(grid) != usual)


def _crs_findings(grids: Sequence[Grid]) -> Iterator[Finding]:
    located = [grid for grid in grids if grid.crs is not None]
    if not located:
        return
    for grid in grids:
        if grid.crs is None:
            message = f"has no CRS, but {len(located)} other images have one; set its CRS (gdal_edit.py -a_srs)"
            yield warning("no-crs", grid.path, message)
    for grid, usual in _odd(located, lambda grid: crs_key(grid.crs) if grid.crs else None):
        message = f"is in {crs_name(grid.crs)}, but most images are in {str(usual)[:80]}; check that it belongs here"
        yield warning("crs", grid.path, message)


def _pixel_size_findings(grids: Sequence[Grid]) -> Iterator[Finding]:
    sizes = [(grid, size) for grid in grids if (size := grid.pixel_size_m)]
    if not sizes:
        return
    usual = float(np.median([size for _, size in sizes]))
    for grid, size in sizes:
        if max(size / usual, usual / size) > PIXEL_SIZE_RATIO:
            message = f"has pixels of {size:.3g} m, but most images have {usual:.3g} m; resample or remove it"
            yield warning("pixel-size", grid.path, message)


def _range_findings(scenes: Sequence[CheckedScene]) -> Iterator[Finding]:
    widest = max((len(scene.pixels.bands) for scene in scenes if scene.pixels), default=0)
    like = [scene for scene in scenes if scene.pixels and len(scene.pixels.bands) == widest]
    if len(like) < _FEWEST:
        return
    values = [[(b.low, b.median, b.high) for b in scene.pixels.bands] for scene in like if scene.pixels]
    low, median, high = np.moveaxis(np.array(values, dtype=np.float64), 2, 0)
    peak = np.maximum(np.abs(low), np.abs(high))
    usual_peak, usual_median = np.median(peak, axis=0), np.median(median, axis=0)
    scaled = (peak > SCALE_RATIO * usual_peak) | (peak * SCALE_RATIO < usual_peak)
    shifted = np.abs(median - usual_median) > SPREADS * np.median(high - low, axis=0)
    # The difference must occur in every band, because a lake or a cloud differs only in some bands.
    for place in np.flatnonzero((scaled | shifted).all(axis=1)).tolist():
        message = (
            f"has band medians of {first_numbers(median[place])}, but the usual medians are "
            f"{first_numbers(usual_median)}; "
            "convert all images to the same units"
        )
        yield warning("value-range", like[place].scene.image, message)


def _share_findings(scenes: Sequence[CheckedScene]) -> Iterator[Finding]:
    labels = [(scene.scene.mask, scene.labels) for scene in scenes if scene.labels is not None]
    labelled = [(mask, counts) for mask, counts in labels if counts.other or counts.cropland]
    alone = [(mask, counts) for mask, counts in labelled if not (counts.other and counts.cropland)]
    severity = warning if len(alone) <= ONE_CLASS_SHARE * len(labelled) else note
    for mask, counts in alone:
        share = "only" if counts.cropland else "no"
        message = f"has {share} cropland in {counts.other + counts.cropland} labelled pixels; check the mask"
        yield severity("one-class-scene", mask, message)
