"""Cloud polygons of Sentinel-2 L1C products before baseline 04.00 (`MSK_CLOUDS`), and their mask on a scene's grid.

The files are GML, with easting and northing in the UTM zone of the tile. Edges of polygons are edges of 60 m pixels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as Xml

import numpy as np
import rasterio
import rasterio.features
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.windows import Window

from seg.errors import RasterError
from seg.imagery.readers.metadata import elements, first_text, parse_xml
from seg.raster.chips import ByteMask
from seg.raster.grid import Grid
from seg.raster.ground.crs import crs_name, same_crs
from seg.raster.writing.geotiff import byte_profile

TYPES = {"OPAQUE": 1, "CIRRUS": 2}
"""Class of each type of cloud in the file."""

_ROWS = 512
"""Number of rows that are burnt at a time."""

_LEAST_NUMBERS = 8
"""Number of coordinates of the smallest ring: the four points of a closed triangle."""

Ring = list[tuple[float, float]]


class _Cloud(NamedTuple):
    """One polygon: its class, and its rings in the CRS of the file; the first ring is the outer one."""

    kind: int
    rings: list[Ring]


@dataclass(frozen=True)
class CloudPolygons:
    """File with the cloud polygons of a product.

    Attributes:
        file: The file, for messages.
        read: Function that returns the bytes of the file.
    """

    file: Path
    read: Callable[[], bytes]

    def burn(self, scene: Grid, path: Path, classes: tuple[int, ...]) -> None:
        """Write a raster on the grid of a scene that is 1 where a pixel's centre lies in a polygon, and 0 elsewhere.

        Args:
            scene: Grid of the scene, in the CRS of the product.
            path: The raster.
            classes: Classes of the polygons to burn, values of `TYPES`.

        Raises:
            RasterError: The file is damaged, or lies in another CRS than the scene.
        """
        root = parse_xml(self.read(), str(self.file))
        clouds = [cloud for cloud in self._clouds(root) if cloud.kind in classes]
        if clouds:
            self._require_crs(root, scene)
        shapes = [{"type": "Polygon", "coordinates": cloud.rings} for cloud in clouds]
        profile = byte_profile(scene, 0) | {"nodata": None, "blockxsize": 256, "blockysize": 256}
        with rasterio.open(path, "w", **profile) as written:
            for top in range(0, scene.height, _ROWS):
                window = Window(0, top, scene.width, min(_ROWS, scene.height - top))
                written.write(_burnt(shapes, scene.part(window)), 1, window=window)

    def _clouds(self, root: Xml.Element) -> Iterator[_Cloud]:
        for feature in elements(root, "MaskFeature"):
            kind = TYPES.get(first_text(feature, "maskType") or "")
            if kind is not None:
                for polygon in elements(feature, "Polygon"):
                    yield _Cloud(kind, [self._ring(ring) for ring in elements(polygon, "posList")])

    def _ring(self, element: Xml.Element) -> Ring:
        try:
            numbers = [float(text) for text in str(element.text or "").split()]
        except ValueError:
            numbers = []
        if len(numbers) < _LEAST_NUMBERS or len(numbers) % 2 or not np.isfinite(numbers).all():
            raise RasterError(
                f"{self.file}: holds a polygon of {len(numbers)} coordinates, wanted pairs of four points or more; "
                "download the product again"
            )
        return list(zip(numbers[::2], numbers[1::2], strict=True))

    def _require_crs(self, root: Xml.Element, scene: Grid) -> None:
        name = next((str(envelope.get("srsName")) for envelope in elements(root, "Envelope")), "none")
        try:
            found = CRS.from_epsg(int(name.rpartition(":")[2]))
        except (ValueError, CRSError):
            found = None
        if not same_crs(found, scene.crs):
            raise RasterError(
                f"{self.file}: its CRS is {name}, but the scene is in {crs_name(scene.crs)}; download the product again"
            )


def _burnt(shapes: Sequence[Mapping[str, object]], grid: Grid) -> ByteMask:
    if not shapes:
        return np.zeros((grid.height, grid.width), np.uint8)
    burnt: ByteMask = rasterio.features.rasterize(
        shapes, (grid.height, grid.width), transform=grid.transform, dtype="uint8"
    )
    return burnt
