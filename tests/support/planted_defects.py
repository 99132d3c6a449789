"""Defects for a clean dataset: functions that plant a defect, and the findings that are expected."""

import shutil
from collections.abc import Callable

import numpy as np
import rasterio
from rasterio import Affine
from rasterio.enums import ColorInterp

from seg.labels import CROPLAND, IGNORE, OTHER
from support.planted_dataset import PlantedDataset

Plant = Callable[[PlantedDataset], object]
IMAGE, MASK, ROOT = "images/scene_1.tif", "masks/scene_1.tif", "."


def truncate(dataset: PlantedDataset, file: str) -> None:
    path = dataset.root / file
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 200])


def with_value(pixels: np.ndarray, value: float) -> np.ndarray:
    """Pixels with another value in the middle of the first band."""
    changed = pixels.copy()
    changed[0, pixels.shape[1] // 2, pixels.shape[2] // 2] = value
    return changed


def plant_infinity(d: PlantedDataset) -> None:
    for number in range(4):
        d.rewrite(d.image(number), d.read(d.image(number)).astype(np.float32))
    d.rewrite(d.image(1), with_value(d.read(d.image(1)), np.inf))


def plant_copy(d: PlantedDataset, number: int) -> None:
    """Copy the first scene over another scene, with another type, compression, nodata value and mask."""
    pixels = d.read(d.image(0)).astype(np.int32)
    pixels[pixels == 0] = -1
    d.rewrite(d.image(number), pixels, nodata=-1, compress="lzw")
    d.rewrite(d.mask(number), d.read(d.mask(0))[:, ::-1])
    d.move(number, 500)


def plant_alpha(d: PlantedDataset, numbers: range, bands: int) -> None:
    meanings = [ColorInterp.gray, *[ColorInterp.undefined] * (bands - 2), ColorInterp.alpha]
    for number in numbers:
        pixels = d.read(d.image(number))
        d.rewrite(d.image(number), np.concatenate([pixels, pixels])[:bands], meanings=meanings)


def plant_one_line(d: PlantedDataset, line: tuple[str, str, object], place: int = 1) -> None:
    rows = d.rows()
    rows[place] = line
    d.list_scenes(rows)


def half_empty(d: PlantedDataset) -> np.ndarray:
    pixels = d.read(d.image(1))
    pixels[:, :15] = 0
    return pixels


def plant_offset(d: PlantedDataset) -> None:
    """Set an offset in one image."""
    with rasterio.open(d.image(1), "r+") as dataset:
        dataset.offsets = [-0.1] * dataset.count


def plant_scale(d: PlantedDataset) -> None:
    d.rewrite(d.image(1), (d.read(d.image(1)) / 10000).astype(np.float32))


def in_folders(d: PlantedDataset) -> PlantedDataset:
    """Remove the manifest without changing the folds."""
    (d.root / "manifest.csv").unlink()
    return d


def both(d: PlantedDataset, **profile: object) -> None:
    for path in (d.image(1), d.mask(1)):
        d.rewrite(path, **profile)


def fill_masks(d: PlantedDataset, numbers: tuple[int, ...], value: int) -> None:
    for number in numbers:
        d.fill_mask(number, value)


def list_folds(d: PlantedDataset, folds: tuple[int, ...]) -> None:
    d.list_scenes([(image, mask, fold) for (image, mask, _), fold in zip(d.rows(), folds, strict=True)])


ERRORS: dict[str, tuple[Plant, str, str]] = {
    "truncated image": (lambda d: truncate(d, IMAGE), "unreadable", IMAGE),
    "image that is no raster": (lambda d: d.image(1).write_text("notes"), "unreadable", IMAGE),
    "truncated mask": (lambda d: truncate(d, MASK), "unreadable", MASK),
    "mask that is no raster": (lambda d: d.mask(1).write_text("notes"), "unreadable", MASK),
    "mask of another size": (lambda d: d.rewrite(d.mask(1), d.read(d.mask(1))[:, 1:]), "grid-size", MASK),
    "mask in another CRS": (lambda d: d.rewrite(d.mask(1), crs="EPSG:32634"), "grid-crs", MASK),
    "shifted mask": (lambda d: d.rewrite(d.mask(1), transform=Affine.scale(10, -10)), "grid-transform", MASK),
    "unknown value in a mask": (
        lambda d: d.rewrite(d.mask(1), with_value(d.read(d.mask(1)), 7)),
        "mask-values",
        MASK,
    ),
    "mask of three bands": (lambda d: d.rewrite(d.mask(1), d.read(d.mask(1)).repeat(3, 0)), "mask-bands", MASK),
    "label declared as nodata": (lambda d: d.rewrite(d.mask(1), nodata=CROPLAND), "mask-nodata", MASK),
    "band missing": (lambda d: d.rewrite(d.image(1), d.read(d.image(1))[:2]), "too-few-bands", IMAGE),
    "band missing in the first image": (
        lambda d: d.rewrite(d.image(0), d.read(d.image(0))[:2]),
        "too-few-bands",
        "images/scene_0.tif",
    ),
    "further band": (lambda d: d.rewrite(d.image(1), d.read(d.image(1))[[0, 1, 2, 0]]), "band-count", IMAGE),
    "complex numbers": (lambda d: d.rewrite(d.image(1), d.read(d.image(1)).astype(np.complex64)), "complex", IMAGE),
    "image without data": (lambda d: d.rewrite(d.image(1), d.read(d.image(1)) * 0), "empty-image", IMAGE),
    "infinite value": (plant_infinity, "infinite", IMAGE),
    "cropland in one fold only": (lambda d: fill_masks(d, (0, 2, 3), OTHER), "one-class", ROOT),
    "all scenes in one fold": (lambda d: list_folds(d, (1, 1, 1, 1)), "one-fold", ROOT),
    "footprints that overlap across folds": (lambda d: d.move(1, 12), "overlap-across-folds", IMAGE),
    "image listed twice": (lambda d: d.list_scenes([*d.rows(), d.rows()[1]]), "listed-twice", IMAGE),
    "image listed twice by other paths": (
        lambda d: d.list_scenes([*d.rows(), ("masks/../images/scene_1.tif", MASK, 2)]),
        "listed-twice",
        "masks/../images/scene_1.tif",
    ),
    "listed mask that is not there": (lambda d: d.mask(1).unlink(), "missing-mask", MASK),
    "listed image that is not there": (lambda d: d.image(1).unlink(), "missing-image", IMAGE),
    "image without a mask": (lambda d: in_folders(d).mask(3).unlink(), "missing-mask", "images/scene_3.tif"),
    "mask without an image": (lambda d: in_folders(d).image(3).unlink(), "missing-image", "masks/scene_3.tif"),
    "two images of one stem": (
        lambda d: shutil.copy(in_folders(d).image(1), d.root / "images" / "scene_1.tiff"),
        "same-stem",
        "images/scene_1.tiff",
    ),
    "manifest without its columns": (
        lambda d: (d.root / "manifest.csv").write_text("a,b\n1,2\n"),
        "manifest",
        "manifest.csv",
    ),
    "manifest that is no text": (
        lambda d: (d.root / "manifest.csv").write_bytes(b"\xff\xfe\x00"),
        "manifest",
        "manifest.csv",
    ),
    "manifest line without a fold": (lambda d: plant_one_line(d, (IMAGE, MASK, "train")), "manifest", "manifest.csv"),
    "fold out of range": (
        lambda d: plant_one_line(d, ("images/scene_3.tif", "masks/scene_3.tif", 7), 3),
        "fold-range",
        "images/scene_3.tif",
    ),
    "manifest without a line": (lambda d: d.list_scenes([]), "empty-dataset", ROOT),
    "folder without images": (lambda d: shutil.rmtree(in_folders(d).root / "images"), "empty-dataset", ROOT),
}

WARNINGS: dict[str, tuple[Plant, str, str]] = {
    "footprints that overlap within a fold": (lambda d: d.move(3, 8 - 16), "overlap", "images/scene_3.tif"),
    "constant band": (
        lambda d: d.rewrite(
            d.image(1), d.read(d.image(1)) * np.array([1, 0, 1], np.uint16)[:, None, None] + np.uint16(3)
        ),
        "constant-band",
        IMAGE,
    ),
    "image without a CRS": (lambda d: both(d, crs=None), "no-crs", IMAGE),
    "image in another CRS": (lambda d: both(d, crs="EPSG:32634"), "crs", IMAGE),
    "larger pixels": (lambda d: d.move(1, 500, scale=2), "pixel-size", IMAGE),
    "another data type": (
        lambda d: d.rewrite(d.image(1), d.read(d.image(1)).astype(np.float32)),
        "dtype",
        IMAGE,
    ),
    "scene without cropland": (lambda d: d.fill_mask(1, OTHER), "one-class-scene", MASK),
    "scene of cropland alone": (lambda d: d.fill_mask(1, CROPLAND), "one-class-scene", MASK),
    "scene without a label": (lambda d: d.fill_mask(1, IGNORE), "no-labels", MASK),
    "scene that is mostly nodata": (lambda d: d.rewrite(d.image(1), half_empty(d)), "mostly-nodata", IMAGE),
    "nodata that is not declared": (
        lambda d: d.rewrite(d.image(1), half_empty(d), nodata=None),
        "undeclared-nodata",
        IMAGE,
    ),
    "band of data that one image tags as alpha": (lambda d: plant_alpha(d, range(1, 2), 3), "alpha-band", IMAGE),
    "fold without a scene": (lambda d: list_folds(d, (0, 2, 2, 0)), "empty-fold", ROOT),
}

ALL_IMAGES = ("images/scene_0.tif", "images/scene_1.tif", "images/scene_2.tif", "images/scene_3.tif")

TOGETHER: dict[str, tuple[Plant, set[tuple[str, str, str]]]] = {
    "the same pixels stored otherwise in another fold": (
        lambda d: plant_copy(d, 1),
        {("error", "duplicate-across-folds", IMAGE), ("warning", "dtype", IMAGE)},
    ),
    "the same pixels stored otherwise in the same fold": (
        lambda d: plant_copy(d, 3),
        {("warning", "duplicate", "images/scene_3.tif"), ("warning", "dtype", "images/scene_3.tif")},
    ),
    "one scene in reflectance from 0 to 1": (
        plant_scale,
        {("warning", "value-range", IMAGE), ("warning", "dtype", IMAGE)},
    ),
    "one scene with another offset": (plant_offset, {("warning", "scale-offset", IMAGE)}),
    "image of one value": (
        lambda d: d.rewrite(d.image(1), d.read(d.image(1)) * 0 + np.uint16(1500)),
        {("warning", "constant-image", IMAGE)},
    ),
    "no label anywhere": (
        lambda d: fill_masks(d, (0, 1, 2, 3), IGNORE),
        {("error", "no-labels", ROOT)} | {("warning", "no-labels", f"masks/scene_{n}.tif") for n in range(4)},
    ),
    "near infrared tagged as alpha in every image": (
        lambda d: plant_alpha(d, range(4), 4),
        {("warning", "alpha-band", image) for image in ALL_IMAGES},
    ),
    "mask of the wrong size with an unknown value": (
        lambda d: d.rewrite(d.mask(1), with_value(d.read(d.mask(1)), 7)[:, 1:]),
        {("error", "grid-size", MASK), ("error", "mask-values", MASK)},
    ),
    "two defects in two files": (
        lambda d: (truncate(d, IMAGE), d.rewrite(d.mask(2), nodata=OTHER)),
        {("error", "unreadable", IMAGE), ("error", "mask-nodata", "masks/scene_2.tif")},
    ),
}
