"""GDAL's options for a whole command: a limit for the cache of decoded tiles, and limits for slow servers.

A command enters `gdal_options` at its start. If the main thread does so, `rasterio.Env` sets the options for all
threads of the process. If another thread enters `gdal_options`, the options hold in that thread only. The size of the
cache is the exception: it always holds for the whole process. A spawned process starts without these options. See
`rasterio/_env.pyx`.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import TracebackType

MIB = 2**20

CACHE = 256 * MIB
"""Size of GDAL's cache of decoded tiles, in bytes. By default, the cache grows to 5 % of the machine's memory while a
command reads a large raster."""

SERVERS = {
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    "GDAL_HTTP_LOW_SPEED_TIME": "60",
}
"""Options for rasters on servers. GDAL's defaults give up at the first error and wait forever for a silent server."""

_LOGS_WARNINGS = "rasterio._env.log_error"
"""Name under which `sys.unraisablehook` receives the rasterio function that GDAL calls for each warning."""

_FOR_GOOD = ExitStack()
"""Contexts that stay open until a worker process ends."""

_OURS: ContextVar[frozenset[str]] = ContextVar("_OURS", default=frozenset())
"""Options that an outer `gdal_options` set; an inner `gdal_options` may change them."""


@contextmanager
def gdal_options(cache: int | None = CACHE) -> Iterator[None]:
    """Set GDAL's options within a context, except options that the user has set.

    A user sets options in the environment, in GDAL's configuration file, or with a `rasterio.Env` around the call.

    Args:
        cache: Bytes of decoded tiles to cache; None leaves the cache as it is.
    """
    # Imported here, since a script that shows its help does not need rasterio.
    from rasterio import Env

    _silence_libtiff()
    options = _unset_options(cache)
    ours = _OURS.set(_OURS.get() | options.keys())
    try:
        with _without_undecodable_messages(), Env.from_defaults(**options):
            yield
    finally:
        _OURS.reset(ours)


def set_gdal_options() -> None:
    """Set GDAL's options for the rest of a worker process, except options that the user has set."""
    from rasterio import Env

    _FOR_GOOD.enter_context(_without_undecodable_messages())
    Env.from_defaults(**_unset_options(CACHE)).__enter__()


@contextmanager
def _without_undecodable_messages() -> Iterator[None]:
    """Hide GDAL warnings that are not UTF-8; such warnings quote damaged bytes of a file's metadata.

    rasterio cannot decode these warnings, and Python would print 20 lines of traceback for each. All other warnings are
    shown. The hooks belong to the process, so only the main thread sets them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    unraisable_before, uncaught_before = sys.unraisablehook, sys.excepthook

    def unraisable(arguments: "sys.UnraisableHookArgs") -> None:
        if arguments.exc_type is not UnicodeDecodeError or arguments.object != _LOGS_WARNINGS:
            unraisable_before(arguments)

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        # An exception in rasterio's function for warnings first reaches sys.excepthook, without a traceback, and then
        # the unraisable hook. All other exceptions have a traceback.
        if kind is not UnicodeDecodeError or trace is not None:
            uncaught_before(kind, error, trace)

    sys.unraisablehook, sys.excepthook = unraisable, uncaught
    try:
        yield
    finally:
        sys.unraisablehook, sys.excepthook = unraisable_before, uncaught_before


@cache
def _silence_libtiff() -> None:
    """Keep libtiff from printing errors of failed writes, for example on a full disk; GDAL raises these errors anyway.

    libtiff writes these messages to standard error itself, not through GDAL. This function finds only the libtiff that
    is bundled in rasterio's wheels.
    """
    import rasterio

    for library in Path(rasterio.__file__).parent.parent.glob("rasterio.libs/libtiff*"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(str(library)).TIFFSetErrorHandler(None)


def _unset_options(cache: int | None) -> dict[str, str | int]:
    wanted: dict[str, str | int] = dict(SERVERS)
    if cache is not None:
        wanted["GDAL_CACHEMAX"] = cache
    return {name: value for name, value in wanted.items() if name in _OURS.get() or not _is_set(name)}


def _is_set(name: str) -> bool:
    from rasterio.env import get_gdal_config, getenv, hasenv

    if name == "GDAL_CACHEMAX":  # rasterio returns the current size even if GDAL chose it
        return name in os.environ or (hasenv() and name in getenv())
    return get_gdal_config(name) is not None
