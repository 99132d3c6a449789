"""Scenes of a dataset, from a manifest or from two folders whose files are matched by stem; and their bands."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from seg.data.dataset.manifest import MANIFEST, Row, manifest_of, read_manifest
from seg.errors import ConfigError, DatasetError
from seg.raster.folder import RASTER_SUFFIXES, by_stem, files_in, unrecognised_file
from seg.raster.grid import band_texts, open_raster
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping
from seg.raster.remote import gdal_name, is_remote, is_virtual, stem_of
from seg.terminal.text import counted

UNREAD = (
    "has a mask, but its name does not end like a raster's, so training would skip it; wanted "
    f"{', '.join(RASTER_SUFFIXES)} (binary files with a .hdr); convert it, or list it in a {MANIFEST}"
)
"""Message about an image in a folder if the ending of its file name is not supported."""


@dataclass(frozen=True)
class Scene:
    """One labelled scene of a dataset.

    Attributes:
        image: Raster with the bands.
        mask: Raster with the labels, on the grid of the image.
        fold: Fold in which the scene is held out, from 0.
        weight: Weight of the scene in sampling by weight, above 0.
        labels: Meaning of the mask values.
    """

    image: Path
    mask: Path
    fold: int
    weight: float = 1.0
    labels: LabelMapping = PLAIN_LABELS


class WithImage(Protocol):
    """A scene with or without a mask."""

    @property
    def image(self) -> Path:
        """Raster with the bands."""


def read_catalogue(root: Path, folds: int, labels: LabelMapping = PLAIN_LABELS) -> list[Scene]:
    """List the scenes of a dataset, sorted by image path.

    Args:
        root: A folder with a `manifest.csv` or `manifest.parquet` (see `seg.data.dataset.manifest`), whose paths are
            relative to the folder; or a folder with `images/` and `masks/`. In the second case, files are matched by
            stem, and images are assigned to the folds 0, 1, ... in turn.
        folds: Number of folds.
        labels: Meaning of the mask values.

    Raises:
        DatasetError: The folder is missing or empty; the manifest is damaged; or an image has no mask, is listed twice,
            or has an unsupported file name ending.
        ConfigError: The number of folds is below 1.
    """
    if folds < 1:
        raise ConfigError(f"data.folds is {folds}; wanted 2 or more, so that one fold can be held out")
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; name a dataset with images/ and masks/, or with a {MANIFEST}")
    manifest = manifest_of(root)
    scenes = _from_manifest(manifest, labels) if manifest else _from_folders(root, folds, labels)
    if not scenes:
        raise DatasetError(f"{root}: has no scenes; wanted rasters in images/ and masks/, or lines in {MANIFEST}")
    outside = sorted({scene.fold for scene in scenes if not 0 <= scene.fold < folds})
    if outside:
        raise DatasetError(f"{manifest}: has the folds {outside}, but data.folds {folds} allows only 0 to {folds - 1}")
    ordered = sorted(scenes, key=lambda scene: scene.image)
    for scene, following in pairwise(ordered):
        if scene.image == following.image:
            raise DatasetError(f"{manifest}: lists {scene.image} twice, so two folds could contain it; keep one line")
    return ordered


def _from_manifest(path: Path, labels: LabelMapping) -> list[Scene]:
    return [scene for row in read_manifest(path) if (scene := _existing_scene(path, row, labels))]


def _existing_scene(path: Path, row: Row, labels: LabelMapping) -> Scene | None:
    scene = labelled_row(path, row, labels)
    if scene is None:
        return None
    for name, file in ((row.image, scene.image), (row.mask or "", scene.mask)):
        if is_virtual(Path(name)) or is_remote(Path(name)):
            raise DatasetError(
                f"{path}: {row.place} names {name}; wanted a file; make a small file that refers to it, for example by "
                f"gdal_translate -of VRT {gdal_name(Path(name))} {stem_of(Path(name))}.vrt"
            )
        if not file.is_file():
            raise DatasetError(f"{path}: {row.place} names {file}, which does not exist; correct the line")
    return scene


def labelled_row(path: Path, row: Row, labels: LabelMapping = PLAIN_LABELS) -> Scene | None:
    """Scene of a manifest's row; its files need not exist. None if the row has no mask."""
    if row.mask is None or row.fold is None:
        return None
    return Scene(path.parent / row.image, path.parent / row.mask, row.fold, row.weight, labels)


def _from_folders(root: Path, folds: int, labels: LabelMapping) -> list[Scene]:
    images, masks = _rasters_by_stem(root / "images"), _rasters_by_stem(root / "masks")
    unmatched = sorted(images.keys() - masks.keys())
    if unmatched:
        raise DatasetError(
            f"{images[unmatched[0]]}: has no mask ({counted(len(unmatched), 'such image')}); "
            f"add {root / 'masks' / unmatched[0]}.tif, or remove the image"
        )
    for stem in sorted(masks.keys() - images.keys()):
        unread = unrecognised_file(root / "images", stem)
        if unread is not None:
            raise DatasetError(f"{unread}: {UNREAD}")
    pairs = enumerate(sorted(images))
    return [Scene(images[stem], masks[stem], number % folds, labels=labels) for number, stem in pairs]


def _rasters_by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; wanted a dataset with images/ and masks/, or a {MANIFEST}")
    return by_stem(files_in(folder))


_SHOWN = 20
"""Largest number of band names in an error message; hyperspectral images have hundreds of bands."""


def band_indexes(scenes: Sequence[WithImage], bands: Sequence[int | str]) -> list[int]:
    """1-based indexes of bands; a name must have the same index in every image.

    Args:
        scenes: Scenes whose images are searched for the names; not opened if all bands are indexes.
        bands: Indexes, or names that are compared with the band descriptions of the images, ignoring case.

    Raises:
        DatasetError: An image lacks a band, has two bands with the same name, or has a band at another index than the
            first image.
        RasterError: An image cannot be opened.
    """
    if not any(isinstance(band, str) for band in bands):
        return [band for band in bands if isinstance(band, int)]
    found = [_indexes(scene, bands) for scene in scenes]
    for scene, indexes in zip(scenes, found, strict=True):
        for band, index, first in zip(bands, indexes, found[0], strict=True):
            if index != first:
                raise DatasetError(
                    f"{scene.image}: '{band}' is band {index}, but band {first} in {scenes[0].image}; wanted one band "
                    "order in all images, so reorder the bands with gdal_translate -b"
                )
    return found[0]


def _indexes(scene: WithImage, bands: Sequence[int | str]) -> list[int]:
    with open_raster(scene.image) as image:
        names = band_texts(image)
    return [band if isinstance(band, int) else _index(scene, names, band) for band in bands]


def _index(scene: WithImage, names: Sequence[str], wanted: str) -> int:
    matching = [index for index, name in enumerate(names, start=1) if name.casefold() == wanted.strip().casefold()]
    if len(matching) == 1 and wanted.strip():
        return matching[0]
    given = [name for name in names if name]
    shown = ", ".join(given[:_SHOWN]) + ", ..." * (len(given) > _SHOWN)
    bands = f"its bands are {shown}" if given else f"none of its {len(names)} bands has a name"
    many = f"{len(matching)} bands named '{wanted}'" if matching else f"no band named '{wanted}'"
    raise DatasetError(f"{scene.image}: has {many}; {bands}; set data.bands to names, or to indexes from 1")
