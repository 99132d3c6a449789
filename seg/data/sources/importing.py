"""Import of public datasets into the layout of this project: recoded masks, manifest and README."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg.data.dataset.manifest import MANIFEST, write_manifest
from seg.data.settings import ImportSettings, SourceName
from seg.data.sources import deepglobe, ftw, gid, loveda
from seg.data.sources.legend import Legend, read_labels
from seg.data.sources.origin import Found, Origin, Pair, readme
from seg.data.sources.replace import README, replaced_dataset
from seg.data.splitting.folds import FoldSummary, Labels, summarise_folds
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, LABEL_COLOURS, OTHER
from seg.raster.chips import ByteMask
from seg.raster.grid import Grid, alpha_bands, open_raster, placed_on, read_grid, require_same_grid
from seg.raster.writing.date_stack import write_date_stack
from seg.raster.writing.geotiff import Annotation, Georeference, write_geotiff
from seg.terminal.progress import with_progress

HELD_OUT_FOLD, TRAINING_FOLD = 0, 1
STACKED = "dates"
"""Folder inside `images/` for copies of images that a stack of several dates refers to."""

DEFAULT_FOLDS = 5
"""Number of folds for a dataset that has no official validation part."""

_ORIGINS: dict[SourceName, Origin] = {
    "loveda": loveda.ORIGIN,
    "deepglobe": deepglobe.ORIGIN,
    "gid": gid.ORIGIN,
    "ftw": ftw.ORIGIN,
}


@dataclass(frozen=True)
class Imported:
    """Result of an import.

    Attributes:
        folds: Summary of each fold; a mask shared by two images counts twice, as in training.
        official: True if fold 0 is the official validation part, False if places were assigned to folds in turn.
        notes: Notes for the user.
    """

    folds: list[FoldSummary]
    official: bool
    notes: Sequence[str]


def import_public(source: SourceName, folder: Path, output: Path, settings: ImportSettings) -> Imported:
    """Import a public dataset into the layout of this project.

    Args:
        source: Name of the dataset.
        folder: Folder with the unpacked dataset.
        output: Folder to write; its parent must exist.
        settings: Settings of the import.

    Raises:
        ConfigError: A setting belongs to another dataset, or the output cannot be a folder.
        DatasetError: The folder has another layout, an image has no mask, a mask has an unknown class, or the output
            cannot be written or holds other files.
        RasterError: A file cannot be read, or a mask is not on the grid of its image.
    """
    settings.require_fitting(source)
    return write_import(_find(source, folder, settings), _ORIGINS[source], output, settings.copy)


def _find(source: SourceName, folder: Path, settings: ImportSettings) -> Found:
    if source == "loveda":
        return loveda.find_loveda(folder)
    if source == "deepglobe":
        return deepglobe.find_deepglobe(folder)
    if source == "gid":
        return gid.find_gid(folder, settings.gid_images)
    return ftw.find_ftw(folder, settings.boundary, settings.window)


def write_import(found: Found, origin: Origin, output: Path, copy: bool = False) -> Imported:
    """Write a public dataset in the layout of this project; replaces an older import.

    Args:
        found: Contents of the dataset.
        origin: Origin of the dataset.
        output: Folder of the dataset; its parent must exist.
        copy: Copy the images; otherwise the manifest lists their original paths.

    Raises:
        ConfigError: The output is a file, its parent is missing, or it is read-only.
        DatasetError: Two images share a name, a mask has an unknown class, or the output cannot be written or holds
            other files.
        RasterError: A file cannot be read, or a mask is not on the grid of its image.
    """
    folds, official = _folds(found.pairs)
    rows: list[tuple[str, str, int]] = []
    held: list[tuple[int, Labels]] = []
    alpha = False
    with replaced_dataset(output, origin.title, frozenset()) as folder:
        (folder / "masks").mkdir()
        if copy:
            (folder / "images").mkdir()
        for pairs in with_progress(_by_place(found.pairs), f"importing {origin.name}"):
            fold, mask = folds[pairs[0].place], f"masks/{pairs[0].place}.tif"
            labels, alpha_here = _read_place(pairs, found.legend, folder / mask)
            alpha |= alpha_here
            counts = np.array([(labels == CROPLAND).sum(), (labels == OTHER).sum()], dtype=np.int64)
            held += [(fold, counts)] * len(pairs)
            rows += [(_placed_image(pair, folder, output, copy), mask, fold) for pair in pairs]
        write_manifest(folder / MANIFEST, rows)
        (folder / README).write_text(readme(origin, found.legend, _fold_rule(official), copy), encoding="utf-8")
    summaries = summarise_folds(held, max(folds.values()) + 1)
    return Imported(summaries, official, [*found.notes, *_remarks(found.pairs, official, alpha)])


def _folds(pairs: Sequence[Pair]) -> tuple[dict[str, int], bool]:
    names = [pair.name for pair in pairs]
    repeated = (
        next((pair for pair in pairs if names.count(pair.name) > 1), None) if len(set(names)) < len(names) else None
    )
    if repeated is not None:
        both = " and ".join(str(pair.image) for pair in pairs if pair.name == repeated.name)
        raise DatasetError(f"{both} would both be named {repeated.name}; import one folder at a time")
    if {pair.held_out for pair in pairs} == {True, False}:
        return {pair.place: HELD_OUT_FOLD if pair.held_out else TRAINING_FOLD for pair in pairs}, True
    return {place: number % DEFAULT_FOLDS for number, place in enumerate(sorted({p.place for p in pairs}))}, False


def _by_place(pairs: Sequence[Pair]) -> list[list[Pair]]:
    places: dict[str, list[Pair]] = {}
    for pair in pairs:
        places.setdefault(pair.place, []).append(pair)
    return [places[place] for place in sorted(places)]


def _read_place(pairs: Sequence[Pair], legend: Legend, output: Path) -> tuple[ByteMask, bool]:
    """Write the mask of one place. Return the mask, and True if a band of an image is tagged as alpha."""
    images = [read_grid(pair.image) for pair in pairs]
    for image in images:
        _require_one_grid(read_grid(pairs[0].mask), image)
        _require_one_grid(image, images[0])
    labels = read_labels(pairs[0].mask, legend)
    place = Georeference(images[0].crs, images[0].transform)
    write_geotiff(output, labels, place, Annotation(IGNORE, ["cropland"], colours=LABEL_COLOURS))
    with open_raster(pairs[0].image) as dataset:
        return labels, bool(alpha_bands(dataset))


def _require_one_grid(grid: Grid, reference: Grid) -> None:
    """Check that two rasters have the same grid; if one has no georeference, only the sizes are compared."""
    require_same_grid(placed_on(grid, reference), placed_on(reference, grid))


def _placed_image(pair: Pair, folder: Path, output: Path, copy: bool) -> str:
    """Path of the image for the manifest: a copy, or the relative path from the output to the original."""
    if pair.dates:
        return _stacked_image(pair, folder, output, copy)
    if copy:
        return _copied_image(pair.image, pair.name, folder)
    # Only the folder is resolved. The file may be a link, and in data managers, the target of a link has a meaningless
    # name.
    image = Path(os.path.realpath(pair.image.parent)) / pair.image.name
    try:
        return Path(os.path.relpath(image, os.path.realpath(output))).as_posix()
    except ValueError:  # The image is on another drive of Windows.
        return str(image)


def _copied_image(image: Path, name: str, folder: Path) -> str:
    """Copy an image; return its path within the dataset."""
    copied = f"images/{name}{image.suffix.lower()}"
    shutil.copyfile(image, folder / copied)
    # GDAL stores metadata that the format lacks in this sidecar file, such as the georeference of a PNG.
    companion = image.with_name(image.name + ".aux.xml")
    if companion.is_file():
        shutil.copyfile(companion, folder / f"{copied}.aux.xml")
    return copied


def _stacked_image(pair: Pair, folder: Path, output: Path, copy: bool) -> str:
    """Write the stack of several dates, which refers to the original images or to their copies."""
    made = folder / "images" / STACKED if copy else folder / "images"
    made.mkdir(parents=True, exist_ok=True)
    scenes, stack = dict(pair.dates), f"images/{pair.name}.vrt"
    if copy:
        scenes = {
            date: folder / _copied_image(image, f"{STACKED}/{pair.name}_{date}", folder)
            for date, image in scenes.items()
        }
    write_date_stack(folder / stack, scenes, pair.bands, None if copy else output / "images")
    return stack


def _fold_rule(official: bool) -> str:
    if official:
        return "fold 0 is the official validation (and test) part, fold 1 the training part"
    return f"places are assigned to {DEFAULT_FOLDS} folds in turn"


def _remarks(pairs: Sequence[Pair], official: bool, alpha: bool) -> list[str]:
    remarks = []
    if not official and any(pair.held_out is not None for pair in pairs):
        remarks.append("only one part of the official split exists, so places were assigned to folds in turn")
    if alpha:
        remarks.append("a band is tagged as alpha; if it holds data, train with all bands: --data.bands=[1,2,3,4]")
    return remarks
