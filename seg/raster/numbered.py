"""Burn the numbers of polygons window by window, so that neighbours that touch stay apart."""

from functools import cached_property

import numpy as np
import numpy.typing as npt
import rasterio.features
import shapely
from rasterio import Affine
from rasterio.windows import Window

from seg.raster.touched import Polygons, on_lattice


class NumberedPolygons:
    """Polygons that are burnt by their numbers, from 1 in the order given; of those that overlap, the last one wins.

    Args:
        polygons: Simple polygons in pixels of the raster, x to the right and y down.
    """

    def __init__(self, polygons: Polygons) -> None:
        self._polygons: Polygons = shapely.transform(polygons, on_lattice)

    def __len__(self) -> int:
        return len(self._polygons)

    def read(self, window: Window) -> npt.NDArray[np.int64]:
        """The number of the polygon that covers the centre of each pixel, (H, W); 0 where none does."""
        shape = int(window.height), int(window.width)
        left, top = window.col_off, window.row_off
        near = np.sort(self._tree.query(shapely.box(left, top, left + shape[1], top + shape[0])))
        if not len(near):
            return np.zeros(shape, dtype=np.int64)
        numbered = zip(self._polygons[near], (near + 1).tolist(), strict=True)
        # Whole numbers of pixels as transform: GDAL then shifts vertices on the lattice without rounding.
        place = Affine.translation(left, top)
        numbers: npt.NDArray[np.int32] = rasterio.features.rasterize(numbered, shape, transform=place, dtype="int32")
        return numbers.astype(np.int64)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self._polygons)
