"""Import of public datasets by name."""

from pathlib import Path

from seg.data.sources import deepglobe, ftw, gid, loveda
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
