"""Open rasters that a process keeps for its next chips; opening costs more than reading a small one."""

import os
from collections import OrderedDict
from contextlib import ExitStack
from pathlib import Path

from rasterio.io import DatasetReader

from seg.raster.grid import open_raster

MOST_OPEN = 64
"""Rasters that a process keeps open: far below the 1024 files that systems grant it."""


class OpenRasters:
    """Rasters opened on first use, the least recently used closed beyond a limit; for one thread.

    GDAL handles survive neither fork nor pickling: a process opens its own, whichever way it got this object.

    Args:
        most: How many stay open.
    """

    def __init__(self, most: int = MOST_OPEN) -> None:
        self.most = most
        self._opened: OrderedDict[Path, tuple[DatasetReader, ExitStack]] = OrderedDict()
        self._inherited: list[object] = []
        self._pid = os.getpid()

    def __len__(self) -> int:
        return len(self._opened)

    def __getstate__(self) -> int:
        return self.most

    def __setstate__(self, most: int) -> None:
        self.__init__(most)  # type: ignore[misc]  # as in a new object

    def __getitem__(self, path: Path) -> DatasetReader:
        """The open raster of a path; it stays valid until `most` others were asked for.

        Raises:
            RasterError: The file is missing, or no raster.
        """
        if self._pid != os.getpid():
            # Kept, not closed: its files belong to the parent, which goes on reading them.
            self._inherited.append(self._opened)
            self._opened, self._pid = OrderedDict(), os.getpid()
        if path not in self._opened:
            while len(self._opened) >= self.most:
                self._opened.popitem(last=False)[1][1].close()
            stack = ExitStack()
            self._opened[path] = stack.enter_context(open_raster(path)), stack
        self._opened.move_to_end(path)
        return self._opened[path][0]

    def close(self) -> None:
        """Close all of them."""
        while self._opened:
            self._opened.popitem()[1][1].close()
