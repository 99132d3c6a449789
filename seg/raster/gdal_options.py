"""GDAL's options for a whole command: bounded memory for decoded tiles, and bounded patience with servers.

`gdal_options` is entered where a command begins. In the main thread, `rasterio.Env` sets the options of the process,
so they reach every thread that is started later; in any other thread it sets those of that thread alone, so a thread
that reads enters it for itself. A spawned process begins with none of them. Only the size of the cache always belongs
to the process. See `rasterio/_env.pyx`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MIB = 2**20

CACHE = 256 * MIB
"""Bytes of decoded tiles that GDAL keeps. By default it takes up to 5 % of the machine's memory, so that memory would
grow with the raster."""

SERVERS = {
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    "GDAL_HTTP_LOW_SPEED_TIME": "60",
}
"""Rasters on servers: by default GDAL gives up at the first error, and waits for ever for a silent server."""

_OURS: ContextVar[frozenset[str]] = ContextVar("_OURS", default=frozenset())
"""Options that an enclosing `gdal_options` set, which an inner one may change."""


@contextmanager
def gdal_options(cache: int | None = CACHE) -> Iterator[None]:
    """Set GDAL's options for what is done within, except those that the user has set.

    A user sets options in the environment, in GDAL's configuration file or by a `rasterio.Env` around the call.

    Args:
        cache: Bytes of decoded tiles to keep; None leaves the cache as it is.
    """
    # Imported here: a script that shows its help waits for none of it.
    from rasterio import Env

    options = _unset_options(cache)
    ours = _OURS.set(_OURS.get() | options.keys())
    try:
        with Env.from_defaults(**options):
            yield
    finally:
        _OURS.reset(ours)


def set_gdal_options() -> None:
    """Set GDAL's options for the rest of a process, such as one that loads chips; the user's stay as they are."""
    from rasterio import Env

    Env.from_defaults(**_unset_options(CACHE)).__enter__()


def _unset_options(cache: int | None) -> dict[str, str | int]:
    wanted: dict[str, str | int] = dict(SERVERS)
    if cache is not None:
        wanted["GDAL_CACHEMAX"] = cache
    return {name: value for name, value in wanted.items() if name in _OURS.get() or not _is_set(name)}


def _is_set(name: str) -> bool:
    from rasterio.env import get_gdal_config, getenv, hasenv

    if name == "GDAL_CACHEMAX":  # rasterio tells the present size, even where GDAL itself chose it
        return name in os.environ or (hasenv() and name in getenv())
    return get_gdal_config(name) is not None
