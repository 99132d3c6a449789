"""Every public dataset that can be imported, by name."""

from pathlib import Path

from seg.data.sources import (
    deepglobe,
    ftw,
    gid,
    loveda,
)
from seg.data.sources.import_settings import ImportSettings, SourceName
from seg.data.sources.importing import Found, Imported, write_import
from seg.data.sources.origin import Origin

_ORIGINS: dict[SourceName, Origin] = {
    "loveda": loveda.ORIGIN,
    "deepglobe": deepglobe.ORIGIN,
    "gid": gid.ORIGIN,
    "ftw": ftw.ORIGIN,
}


def import_public(source: SourceName, folder: Path, output: Path, settings: ImportSettings) -> Imported:
    """Import a public dataset into the project's layout.

    Args:
        source: Which one.
        folder: Where it was unpacked.
        output: The dataset's folder to write; its parent must exist.
        settings: How.

    Raises:
        ConfigError: A setting belongs to another dataset.
        DatasetError: The folder is laid out otherwise, an image has no mask, a mask holds an unknown class, or the
            output cannot be written or holds other files.
        RasterError: A file cannot be read, or a mask is not on its image's grid.
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
