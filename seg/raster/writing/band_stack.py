"""Stack rasters of one band each into a VRT file of several bands, which copies no pixels."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree as Xml

from seg.errors import RasterError
from seg.files import complete_or_absent, require_output_file
from seg.raster.chips import whole
from seg.raster.folder import files_in
from seg.raster.grid import open_raster, read_grid, require_same_grid
from seg.raster.sources import require_apart
from seg.raster.writing.vrt import GDAL_TYPES, add_band, add_source, has_mask_file, vrt_root

BAND_SUFFIXES = (".tif", ".tiff", ".jp2", ".img")
"""Suffixes of files that count as bands; not .vrt, so that an existing stack in the folder does not count."""


def band_files(folder: Path, bands: Sequence[str] | None = None) -> dict[str, Path]:
    """Rasters of a folder by the name of their band, in natural order: B2 before B10.

    A band's name is the part of the file name that differs between the files: B02 and B03 for
    `T32UNE_B02_10m.jp2` and `T32UNE_B03_10m.jp2`.

    Args:
        folder: The folder.
        bands: Names of the bands to use, in that order, in upper or lower case; all bands by default.

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
        problem = f"no band {missing[0]}" if missing else f"no {len(bands)} different bands {', '.join(bands)}"
        raise RasterError(f"{folder}: has {problem}; choose each name once with --bands among {', '.join(found)}")
    return {by_name[band.casefold()]: found[by_name[band.casefold()]] for band in bands}


def write_band_stack(output: Path, files: Mapping[str, Path]) -> None:
    """Write a VRT with one named band for each file; the VRT keeps georeference, nodata, scale and tags.

    The VRT refers to the files by relative paths, so that all can be moved together.

    Args:
        output: The .vrt file; an older file is replaced.
        files: Rasters by the name of their band, in order.

    Raises:
        ConfigError: The output has another suffix, or its folder is missing or read-only.
        RasterError: A file has several bands or a mask file, or its grid or data type differs from the first file.
        WriteError: The output cannot be stored.
    """
    require_output_file(output, (".vrt",))
    require_apart([output], files.values())
    _require_alike(list(files.values()))
    folder = os.path.realpath(output.parent)
    with ExitStack() as opened:
        sources = {name: opened.enter_context(open_raster(path)) for name, path in files.items()}
        first = next(iter(sources.values()))
        root = vrt_root(first, whole(first))
        for number, (name, source) in enumerate(sources.items(), start=1):
            band = add_band(root, source, 1)
            band.set("band", str(number))
            # These tags describe the only band of a file, not a band of a stack.
            for tag in ("Description", "ColorInterp", "ColorTable"):
                for element in band.findall(tag):
                    band.remove(element)
            Xml.SubElement(band, "Description").text = name
            add_source(band, _relative(Path(source.name), folder), "1", whole(source))
    Xml.indent(root)
    with complete_or_absent(output) as unfinished:
        unfinished.write_text(Xml.tostring(root, encoding="unicode") + "\n", encoding="utf-8")


def _require_alike(files: Sequence[Path]) -> None:
    reference = read_grid(files[0])
    for path in files:
        grid = read_grid(path)
        if grid.bands != 1:
            raise RasterError(f"{path}: has {grid.bands} bands, wanted one band a file; leave it out with --bands")
        if grid.dtype != reference.dtype or grid.dtype not in GDAL_TYPES:
            raise RasterError(
                f"{path}: holds {grid.dtype}, but {files[0]} holds {reference.dtype}; wanted one data type in all "
                "bands: leave the file out with --bands, or convert it (gdal_translate -ot)"
            )
        require_same_grid(grid, reference)
        with open_raster(path) as source:
            if has_mask_file(source):
                raise RasterError(
                    f"{path}: has a mask file, which a band of a stack cannot have; declare a nodata value instead"
                )


def _relative(file: Path, folder: str) -> Path:
    # Symbolic links are resolved, since the operating system resolves ".." from the real folder.
    real = os.path.realpath(file)
    try:
        return Path(os.path.relpath(real, folder))
    except ValueError:  # The file is on another drive of Windows.
        return Path(real)


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
