"""Loose raster files as a product: a folder with one file for each band, or files with one or several bands."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from seg.errors import RasterError
from seg.imagery.product import Product, SourceBand
from seg.raster.folder import files_in
from seg.raster.grid import open_raster, read_grid
from seg.raster.remote import stem_of
from seg.raster.writing.vrt import has_mask_file

BAND_SUFFIXES = (".tif", ".tiff", ".jp2", ".img")
"""Suffixes of files that count as bands. The suffix .vrt is left out, so an earlier stack in the folder is ignored."""


def band_files(folder: Path, bands: Sequence[str] | None = None) -> dict[str, Path]:
    """Rasters of a folder by the name of their band, in natural order: B2 before B10.

    A band's name is the part of the file name that differs between the files: B02 and B03 for
    `T32UNE_B02_10m.jp2` and `T32UNE_B03_10m.jp2`.

    Args:
        folder: The folder.
        bands: Names of the bands to use, in order, in upper or lower case; all bands by default.

    Raises:
        RasterError: The folder is missing, holds no raster, or does not hold exactly one raster of each name.
    """
    if not folder.is_dir():
        raise RasterError(f"{folder}: no such folder; name one with a raster for each band")
    files = files_in(folder, BAND_SUFFIXES)
    if not files:
        raise RasterError(f"{folder}: holds no raster; wanted one for each band, ending in {', '.join(BAND_SUFFIXES)}")
    found: dict[str, Path] = {}
    for path, name in sorted(zip(files, _differences([path.stem for path in files]), strict=True), key=_natural):
        if name in found:
            raise RasterError(f"{path}: would be band {name}, like {found[name].name}; move one of them away")
        found[name] = path
    if bands is None:
        return found
    by_name = {name.casefold(): name for name in found}
    missing = [band for band in bands if band.casefold() not in by_name]
    if missing or len({band.casefold() for band in bands}) < len(bands) or not bands:
        problem = f"has no band {missing[0]}" if missing else f"--bands is [{','.join(bands)}]"
        raise RasterError(f"{folder}: {problem}; choose each name once with --bands among {', '.join(found)}")
    return {by_name[band.casefold()]: found[by_name[band.casefold()]] for band in bands}


def loose_files(files: Sequence[Path]) -> Product:
    """One raster as a product, or several rasters whose names differ by the names of their bands.

    Raises:
        RasterError: As for `loose_product`; or two files have the same name.
    """
    names = _differences([stem_of(file) for file in files])
    if len(set(names)) < len(names):
        raise RasterError(f"{files[0]}: {len(files)} files have names that do not differ; rename them by their bands")
    return loose_product(files[0], dict(zip(names, files, strict=True)))


def loose_product(path: Path, files: Mapping[str, Path]) -> Product:
    """Rasters of one or several bands as a product whose values have an unknown unit.

    A band is named after its file if the file has no other band. In a file of several bands, each band is named by its
    description, or by the name of the file and the number of the band.

    Args:
        path: The folder or file that the user named.
        files: Rasters by name, in order.

    Raises:
        RasterError: A file cannot be read, or has a mask file or an alpha band.
    """
    bands = [band for name, file in files.items() for band in _bands(name, file)]
    return Product(path, stem_of(path), tuple(bands))


def _bands(name: str, file: Path) -> list[SourceBand]:
    grid = read_grid(file)
    with open_raster(file) as source:
        if grid.alpha or has_mask_file(source):
            has = "an alpha band" if grid.alpha else "a mask file"
            raise RasterError(
                f"{file}: has {has}, which a scene of loose files cannot have; declare a nodata value instead"
            )
    if grid.bands == 1:
        return [SourceBand(name, file)]
    texts = grid.band_names or ("",) * grid.bands
    return [SourceBand(text or f"{name}_{index}", file, index) for index, text in enumerate(texts, start=1)]


def _differences(stems: Sequence[str]) -> list[str]:
    """Each name without the words at its beginning and end that all names share."""
    words = [re.split(r"[_\-. ]+", stem) for stem in stems]
    if len(words) == 1:
        return list(stems)
    shortest = min(map(len, words)) - 1
    before = next((i for i in range(shortest) if len({name[i] for name in words}) > 1), shortest)
    after = next((i for i in range(shortest - before) if len({name[-1 - i] for name in words}) > 1), shortest - before)
    return ["_".join(name[before : len(name) - after]) for name in words]


def _natural(named: tuple[Path, str]) -> tuple[list[tuple[int, str]], Path]:
    path, name = named
    parts = re.findall(r"(\d+)|(\D+)", name.casefold())
    return [(int(number), "") if number else (-1, text) for number, text in parts], path
