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
    """Rasters opened on first use, for one thread; if too many are open, the least recently used is closed.

    GDAL handles survive neither fork nor pickling, so each process opens its own rasters.

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
        """The open raster of a path. It stays open until `most` other paths have been requested.

        Raises:
            RasterError: The file is missing, or not a readable raster.
        """
        if self._pid != os.getpid():
            # After a fork, these rasters are not closed, because the parent process still reads them.
            self._inherited.append(self._opened)
            self._opened, self._pid = OrderedDict(), os.getpid()
        if path not in self._opened:
            while len(self._opened) >= self.most:
                self._opened.popitem(last=False)[1][1].close()
            stack = ExitStack()
            # Outside an environment of rasterio, a raster opens an environment of its own. Closing the raster would
            # then also end other environments.
            with nullcontext() if hasenv() else Env():
                self._opened[path] = stack.enter_context(open_raster(path)), stack
        self._opened.move_to_end(path)
        return self._opened[path][0]
