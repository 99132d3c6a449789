"""Findings about the files of a scene, without reading pixels: format, grid, bands."""

from collections.abc import Sequence
from pathlib import Path

from seg.data.checking.findings import Finding, error
from seg.data.dataset.catalogue import Scene
from seg.data.dataset.checks import check_scene
from seg.errors import RasterError, SegError
from seg.raster.classes import class_band
from seg.raster.grid import Grid, open_raster, placed_on, read_grid, require_same_grid
from seg.raster.ground.crs import same_crs


def structure_findings(scene: Scene, bands: Sequence[int]) -> list[Finding]:
    """Problems for which training would reject a scene before reading its pixels.

    Args:
        scene: Image and mask.
        bands: 1-based indexes of the bands to read.
    """
    try:
        check_scene(scene, bands)
    except SegError as refused:
        return _diagnosis(scene, bands) or [error("unfit", scene.image, str(refused))]
    return []


def grid_or_none(path: Path) -> Grid | None:
    """Grid of a raster; None if the raster cannot be opened or used for training."""
    try:
        return read_grid(path)
    except RasterError:
        return None


def _diagnosis(scene: Scene, bands: Sequence[int]) -> list[Finding]:
    findings = [*image_findings(scene.image, bands), *([found] if (found := _unopenable(scene.mask)) else [])]
    image, mask = grid_or_none(scene.image), grid_or_none(scene.mask)
    if image and mask:
        findings += _misplaced(placed_on(mask, image), image)
    if mask:
        findings += _no_mask(scene)
    return findings


def image_findings(path: Path, bands: Sequence[int]) -> list[Finding]:
    """Problems for which training would reject an image before reading its pixels.

    Args:
        path: The image.
        bands: 1-based indexes of the bands to read.
    """
    unopened = _unopenable(path)
    if unopened:
        return [unopened]
    found = read_grid(path).bands
    missing = [band for band in bands if not 1 <= band <= found]
    if not missing:
        return []
    message = f"has {found} bands, but band {missing[0]} is wanted; set --bands to other bands"
    return [error("too-few-bands", path, message)]


def _unopenable(path: Path) -> Finding | None:
    try:
        read_grid(path)
    except RasterError as problem:
        return error("complex" if _complex(path) else "unreadable", path, str(problem))
    return None


def _complex(path: Path) -> bool:
    try:
        with open_raster(path) as dataset:
            return any(dtype.startswith("complex") for dtype in dataset.dtypes)
    except RasterError:
        return False


def _misplaced(mask: Grid, image: Grid) -> list[Finding]:
    try:
        require_same_grid(mask, image)
    except RasterError as problem:
        kind = "grid-transform"
        if not same_crs(mask.crs, image.crs):
            kind = "grid-crs"
        if (mask.height, mask.width) != (image.height, image.width):
            kind = "grid-size"
        return [error(kind, mask.path, str(problem))]
    return []


def _no_mask(scene: Scene) -> list[Finding]:
    with open_raster(scene.mask) as dataset:
        try:
            class_band(dataset, scene.labels)
        except RasterError as problem:
            several = dataset.count > 1
            return [error("mask-bands" if several else "mask-nodata", scene.mask, str(problem))]
    return []
