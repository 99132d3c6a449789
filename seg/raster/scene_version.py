"""Whether the files of a raster are still the same."""

import hashlib
from pathlib import Path

from seg.raster.grid import open_raster
from seg.raster.remote import is_remote, layout_of

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
            return layout_of(dataset)[:16]
    if not path.exists():
        return None
    with open_raster(path) as dataset:
        names = sorted(name for name in dataset.files if not name.endswith(BESIDE))
    digest = hashlib.sha256()
    for name in names:
        file = Path(name)
        state = file.stat() if file.exists() else None
        digest.update(f"{name} {state and (state.st_size, state.st_mtime_ns)}\n".encode())
    return digest.hexdigest()[:16]
