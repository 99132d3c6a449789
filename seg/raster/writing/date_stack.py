"""Stack scenes of several dates into a VRT file, which copies no pixels, with bands such as "B04@2024-05-11"."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree as Xml

from rasterio.io import DatasetReader

from seg.errors import RasterError
from seg.files import complete_or_absent, require_output_file
from seg.raster.chips import whole
from seg.raster.date_bands import dated_name, dates_of
from seg.raster.grid import alpha_bands, band_texts, data_bands, open_raster, read_grid, require_same_grid
from seg.raster.sources import require_apart
from seg.raster.writing.vrt import add_band, add_source, has_mask_file, vrt_root


def write_date_stack(
    output: Path, scenes: Mapping[str, Path], names: Sequence[str] = (), final_folder: Path | None = None
) -> list[str]:
    """Write a VRT with the bands of all dates; each band keeps its nodata, mask, scale and unit.

    A pixel of the stack is valid where any of its dates holds data (`seg.raster.chips.read_chip`).

    Args:
        output: The .vrt file; an older file is replaced.
        scenes: Scene of each date, such as "2024-05-11", all with the same bands and grid.
        names: Names of the bands, without dates; by default the names in the first scene, or the band number if a band
            has no name.
        final_folder: Folder that the VRT will be moved to; None if it stays.

    Returns:
        Names of the bands.

    Raises:
        ConfigError: The output has another suffix, its folder is missing, or it is one of the scenes.
        RasterError: A scene cannot be read, scenes differ in bands or grid, or there are more than 16 dates.
        WriteError: The output cannot be stored.
    """
    require_output_file(output, (".vrt",))
    require_apart([output], scenes.values())
    folder = os.path.realpath(final_folder or output.parent)
    with ExitStack() as opened:
        sources = {date: opened.enter_context(open_raster(path)) for date, path in scenes.items()}
        first = next(iter(sources.values()))
        wanted = list(names) or _band_names(first)
        root = vrt_root(first, whole(first))
        found = [dated_name(name, date) for date in sources for name in wanted]
        dates_of(found)
        for date, source in sources.items():
            _require_alike(source, first, wanted if not names else [], len(wanted))
            for band, name in zip(data_bands(source), wanted, strict=True):
                _add_dated(root, source, band, dated_name(name, date), folder)
    for number, element in enumerate(root.iterfind("VRTRasterBand"), start=1):
        element.set("band", str(number))
    Xml.indent(root)
    with complete_or_absent(output) as unfinished:
        unfinished.write_text(Xml.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
    return found


def _add_dated(root: Xml.Element, source: DatasetReader, band: int, name: str, folder: str) -> None:
    # Symbolic links are resolved, since the operating system applies ".." to the real folder.
    file = Path(os.path.relpath(os.path.realpath(source.name), folder))
    element = add_band(root, source, band)
    for tag in ("Description", "ColorInterp", "ColorTable"):  # These tags describe the band in a single date.
        for old in element.findall(tag):
            element.remove(old)
    Xml.SubElement(element, "Description").text = name
    add_source(element, file, str(band), whole(source))
    alpha = alpha_bands(source)
    if has_mask_file(source) or alpha:
        mask = Xml.SubElement(Xml.SubElement(element, "MaskBand"), "VRTRasterBand", dataType="Byte")
        add_source(mask, file, str(alpha[0]) if alpha else "mask,1", whole(source))


def _require_alike(source: DatasetReader, first: DatasetReader, names: Sequence[str], bands: int) -> None:
    require_same_grid(read_grid(Path(source.name)), read_grid(Path(first.name)))
    found = _band_names(source)
    if len(found) != bands or (names and found != list(names)):
        raise RasterError(
            f"{source.name}: has the bands {', '.join(found)}, but {first.name} has {', '.join(_band_names(first))}; "
            "wanted the same bands in all dates"
        )


def _band_names(source: DatasetReader) -> list[str]:
    names = band_texts(source)
    return [names[band - 1] or str(band) for band in data_bands(source)]
