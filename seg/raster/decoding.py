"""In how many threads GDAL decodes tiles."""

from contextlib import AbstractContextManager

import rasterio


def one_thread() -> AbstractContextManager[object]:
    """The settings with which GDAL reports each tile that it cannot read.

    Where several threads decode (GDAL_NUM_THREADS, GDAL 3.10), it reports a damaged tile at the first reading alone and
    gives whatever was decoded of it from then on, and does not report at all that a server failed.
    """
    settings: AbstractContextManager[object] = rasterio.Env(GDAL_NUM_THREADS="1")
    return settings
