"""Check of a single scene: files, grid, pixels and labels."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from seg.data.checking.findings import Finding, error, note, warning
from seg.data.checking.pixels import READ_SIZE, PixelSummary, Reading, summarise_pixels
from seg.data.checking.structure import grid_or_none, image_findings, structure_findings
from seg.data.dataset.catalogue import Scene
from seg.data.dataset.checks import LabelCounts, count_labels, require_loadable
from seg.errors import DatasetError, RasterError, UndeclaredNodataError
from seg.raster.chips import read_band
from seg.raster.grid import Grid, alpha_bands, open_raster
from seg.raster.voids import NO_DATA_FROM, is_missing
from seg.raster.windows import window_grid

NO_LABELS = {"unreadable", "complex", "mask-bands", "mask-nodata"}
"""If a scene has findings of these kinds, the values of its mask are not checked."""

EMPTY_SHARE = 0.5
UNLABELLED_SHARE = 0.99
ZERO_SHARE = 0.01
"""A scene is reported if at least this share of its pixels is 0 in all bands. Shadow and water cause smaller shares; an
empty corner causes a larger share."""


@dataclass(frozen=True)
class CheckedScene:
    """A scene with its measurements and findings.

    Attributes:
        scene: Image, mask and fold.
        grid: Grid of the image; None if it cannot be opened.
        pixels: Summary of the pixels; None if they cannot be read.
        findings: Problems found in the scene.
    """

    scene: Scene
    grid: Grid | None
    pixels: PixelSummary | None
    findings: tuple[Finding, ...]

    @property
    def labels(self) -> LabelCounts | None:
        """Label counts of the valid pixels; None if the pixels or the mask cannot be used."""
        return self.pixels.labels if self.pixels else None


def check_one(scene: Scene, reading: Reading) -> CheckedScene:
    """Check a scene and collect all problems.

    Args:
        scene: Image, mask and fold.
        reading: Settings for reading images.
    """
    findings = structure_findings(scene, reading.bands)
    if not NO_LABELS & _kinds(findings, scene.mask):
        findings += _mask_findings(scene)
    return _with_pixels(scene, reading, findings, with_mask=not _kinds(findings, scene.mask))


def check_image(scene: Scene, reading: Reading) -> CheckedScene:
    """Check only the image of a scene, and collect all problems.

    Args:
        scene: Image and fold; the mask is not read.
        reading: Settings for reading images.
    """
    return _with_pixels(scene, reading, image_findings(scene.image, reading.bands), with_mask=False)


def _with_pixels(scene: Scene, reading: Reading, findings: list[Finding], with_mask: bool) -> CheckedScene:
    """The scene with the given findings and the findings about its pixels."""
    grid = grid_or_none(scene.image)
    if grid is None or _kinds(findings, scene.image) & {"too-few-bands", "unfit"}:
        return CheckedScene(scene, grid, None, tuple(findings))
    try:
        if not reading.chips:
            require_loadable(grid, len(reading.bands))
    except DatasetError as problem:
        findings.append(error("too-large", scene.image, f"{problem}; to check for training on chips, add --chips"))
    pixels, unread = _measured(scene, reading, with_mask)
    findings += unread
    if pixels is not None:
        findings += [*_image_findings(scene, grid, pixels, reading), *_label_findings(scene, pixels)]
    return CheckedScene(scene, grid, pixels, tuple(findings))


def _kinds(findings: Iterable[Finding], file: Path) -> set[str]:
    return {finding.kind for finding in findings if finding.file == file}


def _mask_findings(scene: Scene) -> list[Finding]:
    try:
        count_labels(scene)
    except RasterError as problem:
        return [error("mask-values" if _readable(scene) else "unreadable", scene.mask, str(problem))]
    return []


def _readable(scene: Scene) -> bool:
    """True if the pixels of a mask can be read, even if they hold unknown values."""
    try:
        with open_raster(scene.mask) as mask:
            for window in window_grid(mask.height, mask.width, READ_SIZE, READ_SIZE):
                read_band(mask, 1, window)
    except RasterError:
        return False
    return True


def _measured(scene: Scene, reading: Reading, with_mask: bool) -> tuple[PixelSummary | None, list[Finding]]:
    try:
        with open_raster(scene.image) as image:
            if not with_mask:
                return summarise_pixels(image, None, reading), []
            with open_raster(scene.mask) as mask:
                return summarise_pixels(image, mask, reading), []
    except UndeclaredNodataError as problem:
        return None, [error("undeclared-nodata", scene.image, str(problem))]
    except RasterError as problem:
        return None, [error("unreadable", scene.image, str(problem))]


def _image_findings(scene: Scene, grid: Grid, pixels: PixelSummary, reading: Reading) -> Iterator[Finding]:
    with open_raster(scene.image) as image:
        infinite = _infinite(image, reading) if np.issubdtype(np.dtype(grid.dtype), np.floating) else 0
        yield from _alpha_findings(scene, image, reading)
    if infinite:
        message = (
            f"has {infinite} values that are infinite or beyond ±{NO_DATA_FROM:.0e} and not marked as nodata; "
            "replace them by the nodata value, or name their value with --nodata, such as --nodata=-3.4028235e+38"
        )
        yield error("infinite", scene.image, message)
    empty = 1 - pixels.valid / pixels.total
    if pixels.valid == 0:
        message = "has no valid pixel: all are nodata, NaN or masked; remove the scene, or correct its nodata value"
        yield error("empty-image", scene.image, message)
        return
    if empty > EMPTY_SHARE:
        message = f"is {empty:.0%} nodata; crop the scene, or check its nodata value"
        yield warning("mostly-nodata", scene.image, message)
    if len(pixels.constant) == len(pixels.bands):
        message = f"has the same value in every pixel of {_bands(reading.bands)}; check how it was written"
        yield warning("constant-image", scene.image, message)
    elif pixels.constant:
        names = _bands([reading.bands[place] for place in pixels.constant])
        message = f"has the same value in every valid pixel of {names}, which tells nothing; leave it out with --bands"
        yield warning("constant-band", scene.image, message)
    if pixels.zeros >= ZERO_SHARE * pixels.total:
        yield _zero_finding(scene, pixels)


def _zero_finding(scene: Scene, pixels: PixelSummary) -> Finding:
    prefix = f"has {pixels.zeros / pixels.total:.1%} valid pixels that are 0 in every band"
    if pixels.labelled_zeros and len(pixels.bands) > 1 and len(pixels.constant) < len(pixels.bands):
        message = f"{prefix}, {pixels.labelled_zeros} of them with a label; if they hold no data, add --nodata=0"
        return warning("undeclared-nodata", scene.image, message)
    return note("zero-pixels", scene.image, f"{prefix}; if they hold no data, add --nodata=0")


def _label_findings(scene: Scene, pixels: PixelSummary) -> Iterator[Finding]:
    labels = pixels.labels
    if labels is None or not pixels.valid:
        return
    labelled = labels.other + labels.cropland
    if labelled == 0:
        message = "has no label where its image has data, so training cannot use it; label it, or remove the scene"
        yield warning("no-labels", scene.mask, message)
        return
    if labels.ignored > UNLABELLED_SHARE * pixels.valid:
        share = labels.ignored / pixels.valid
        yield note("sparse-labels", scene.mask, f"has no label for {share:.2%} of the valid pixels")


def _infinite(image: DatasetReader, reading: Reading) -> int:
    """Number of values that are infinite or larger than NO_DATA_FROM in magnitude, but not marked as invalid."""
    count = 0
    for window in window_grid(image.height, image.width, READ_SIZE, READ_SIZE):
        for band in reading.bands:
            values, _ = read_band(image, band, window)
            infinite = np.abs(values.astype(np.float64)) >= NO_DATA_FROM
            for missing in (image.nodatavals[band - 1], reading.nodata):
                if missing is not None:
                    infinite &= ~is_missing(values, missing)
            if infinite.any():
                count += int((infinite & (image.read_masks(band, window=window) > 0)).sum())
    return count


def _alpha_findings(scene: Scene, image: DatasetReader, reading: Reading) -> Iterator[Finding]:
    for band in alpha_bands(image):
        if band in reading.bands:
            if not reading.named:
                message = f"band {band} is tagged as alpha, but read as data, since the first image does not tag it"
                yield warning("alpha-band", scene.image, f"{message}; if it is data, name the bands with --bands")
            continue
        prefix = f"band {band} is tagged as alpha and read as a mask"
        if _is_opacity(image, band):
            yield note("alpha-band", scene.image, prefix)
        else:
            every = sorted([*reading.bands, band])
            message = f"{prefix}, but has more than two values; if it holds data, name all bands: --bands={every}"
            yield warning("alpha-band", scene.image, message)


def _is_opacity(image: DatasetReader, band: int) -> bool:
    """True if a band has at most two values, as a validity mask has."""
    seen: set[float] = set()
    for window in window_grid(image.height, image.width, READ_SIZE, READ_SIZE):
        values, _ = read_band(image, band, window)
        seen |= set(np.unique(values).tolist())
        if len(seen) > 2:
            return False
    return True


def _bands(bands: list[int] | tuple[int, ...]) -> str:
    return f"band{'s' if len(bands) > 1 else ''} {', '.join(map(str, bands))}"
