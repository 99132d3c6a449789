"""Checksums of a scene's files, to detect that a scene has changed."""

from pathlib import Path

from rasterio.io import DatasetReader

from seg.files import short_hash
from seg.raster.grid import open_raster
from seg.raster.remote import is_remote, is_virtual
from seg.raster.sources import image_files

BESIDE = (".aux.xml", ".ovr")
"""Suffixes of files that viewers write; no pixel is read from them."""


def scene_version(path: Path) -> str | None:
    """A checksum of the names, sizes and times of all files of a raster, including the sources of nested mosaics.

    For a raster on a server, this is the checksum of `layout_of`.

    Args:
        path: The raster.

    Returns:
        16 hexadecimal digits; None if the path names a local file that does not exist.

    Raises:
        RasterError: GDAL cannot read the raster.
    """
    if is_remote(path):
        with open_raster(path) as dataset:
            return layout_of(dataset)
    if not (path.exists() or is_virtual(path)):
        return None
    files = [file for file in image_files(path) if not file.name.endswith(BESIDE)]
    states = [(file, file.stat()) for file in files]
    return short_hash("".join(f"{file} {state.st_size, state.st_mtime_ns}\n" for file, state in states))


_SAMPLED = 64
"""Largest number of tiles whose offsets and sizes enter the checksum."""


def layout_of(dataset: DatasetReader) -> str:
    """Checksum of a raster's storage, 16 hexadecimal digits; the checksum changes if another file replaces the raster.

    GDAL does not report when a file on a server was changed. In a compressed TIFF, changed pixels change the sizes of
    tiles. The checksum covers the offsets and sizes of up to 64 evenly spread tiles.

    Args:
        dataset: The open raster.
    """
    height, width = dataset.block_shapes[0]
    rows, columns = -(-dataset.height // height), -(-dataset.width // width)
    count = rows * columns
    tiles = [divmod(step * (count - 1) // max(_SAMPLED - 1, 1), columns) for step in range(min(_SAMPLED, count))]
    stored = [_stored(dataset, row, column) for row, column in dict.fromkeys(tiles)]
    described = (dataset.profile["driver"], dataset.shape, dataset.dtypes, tuple(dataset.transform), stored)
    return short_hash(repr((described, sorted(dataset.tags().items()))))


def _stored(dataset: DatasetReader, row: int, column: int) -> tuple[str | None, ...]:
    return tuple(dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1) for what in ("OFFSET", "SIZE"))
