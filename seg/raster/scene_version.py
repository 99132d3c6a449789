"""Whether the files of a raster are still the same."""

from pathlib import Path

from rasterio.io import DatasetReader

from seg.files import short_hash
from seg.raster.grid import open_raster
from seg.raster.remote import is_remote

BESIDE = (".aux.xml", ".ovr")
"""Ends of files that viewers make; no pixel is read from them."""


def scene_version(path: Path) -> str | None:
    """A checksum of the names, sizes and times of all files of a raster, those of a mosaic's parts among them.

    Of a raster on a server, one of how it is stored.

    Args:
        path: The raster.

    Returns:
        16 hexadecimal digits; None where it is no file of this system, nor on a server.

    Raises:
        RasterError: It is no raster that GDAL can read.
    """
    if is_remote(path):
        with open_raster(path) as dataset:
            return layout_of(dataset)
    if not path.exists():
        return None
    with open_raster(path) as dataset:
        names = sorted(name for name in dataset.files if not name.endswith(BESIDE))
    states = [(name, Path(name).stat() if Path(name).exists() else None) for name in names]
    return short_hash("".join(f"{name} {state and (state.st_size, state.st_mtime_ns)}\n" for name, state in states))


_SAMPLED = 64
"""Tiles whose place and size stand for those of all."""


def layout_of(dataset: DatasetReader) -> str:
    """A checksum of how a raster is stored, by which another file of the same address is noticed.

    GDAL does not say when a file on a server was changed. Of a compressed TIFF, other pixels give tiles of other sizes;
    place and size of 64 of them, spread evenly, stand for all.

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
