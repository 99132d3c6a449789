"""Cache of open rasters, because opening a file takes longer than reading a small chip."""

import os
from collections import OrderedDict
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Self

from rasterio import Env
from rasterio.env import hasenv
from rasterio.io import DatasetReader

from seg.raster.grid import open_raster

MOST_OPEN = 64
"""Largest number of open rasters per process, far below the usual limit of 1024 files."""


class OpenRasters:
    """Rasters opened on first use, for one thread; above a limit, the least recently used raster is closed.

    GDAL handles survive neither fork nor pickling, so each process opens its own.

    Args:
        most: Largest number of open rasters.
    """

    def __init__(self, most: int = MOST_OPEN) -> None:
        self.most = most
        self._opened: OrderedDict[Path, tuple[DatasetReader, ExitStack]] = OrderedDict()
        self._inherited: list[object] = []
        self._pid = os.getpid()

    def __getstate__(self) -> int:
        return self.most

    def __setstate__(self, most: int) -> None:
        self.__init__(most)  # type: ignore[misc]  # starts with no open raster

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close all rasters."""
        while self._opened:
            self._opened.popitem()[1][1].close()

    def __getitem__(self, path: Path) -> DatasetReader:
        """The open raster of a path, valid until `most` other paths were requested.

        Raises:
            RasterError: The file is missing, or not a readable raster.
        """
        if self._pid != os.getpid():
            # Kept open: after a fork, these files belong to the parent process, which still reads them.
            self._inherited.append(self._opened)
            self._opened, self._pid = OrderedDict(), os.getpid()
        if path not in self._opened:
            while len(self._opened) >= self.most:
                self._opened.popitem(last=False)[1][1].close()
            stack = ExitStack()
            # A raster opened outside an environment of rasterio would own one, and end any other when it is closed.
            with nullcontext() if hasenv() else Env():
                self._opened[path] = stack.enter_context(open_raster(path)), stack
        self._opened.move_to_end(path)
        return self._opened[path][0]
