"""Ground of squares: outlines, labelled ground, zones and example points, all in WGS 84 with longitude first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import rasterio.features
import shapely
from pyproj import CRS, Transformer
from rasterio.windows import Window

from seg.errors import RasterError
from seg.labels import IGNORE
from seg.raster.chips import read_band
from seg.raster.folder import RASTER_SUFFIXES, files_in
from seg.raster.grid import Grid, open_raster, read_grid
from seg.raster.vectors.features import read_features

LONLAT = "EPSG:4326"

COARSE = 512
"""Masks are read at a reduced size of at most this many pixels per side to find labelled ground."""

SLIVER = 0.02
"""Largest share of a square that labels may cover. It is above 0, since neighbouring squares on different grids overlap
slightly."""


@dataclass(frozen=True)
class LabelledGround:
    """Ground that has labels.

    Attributes:
        polygons: Outlines of the labelled ground in WGS 84.
        tree: Spatial index of the polygons.
    """

    polygons: Sequence[shapely.Geometry]
    tree: shapely.STRtree

    def overlaps(self, outline: shapely.Polygon) -> bool:
        """True if labels cover more than a small part of an outline in WGS 84."""
        near = [self.polygons[number] for number in self.tree.query(outline, predicate="intersects")]
        if not near:
            return False
        covered = shapely.union_all(near).intersection(outline).area
        return bool(covered > SLIVER * outline.area)


def outline_of(grid: Grid, window: Window) -> shapely.Polygon:
    """Outline of a window in WGS 84.

    Args:
        grid: Grid of a scene with a CRS.
        window: Pixels of the scene.
    """
    left, top = window.col_off, window.row_off
    corners = [(left, top), (left + window.width, top), (left + window.width, top + window.height)]
    corners.append((left, top + window.height))
    shape = shapely.Polygon([grid.transform @ corner for corner in corners])
    series = geopandas.GeoSeries([shape], crs=CRS.from_user_input(grid.crs)).to_crs(LONLAT)
    outline: shapely.Polygon = series.iloc[0]
    return outline


def pixel_of(grid: Grid, point: tuple[float, float]) -> tuple[int, int]:
    """Row and column of a point in WGS 84; negative or too large if the point is outside the scene."""
    transformer = Transformer.from_crs(LONLAT, CRS.from_user_input(grid.crs), always_xy=True)
    column, row = ~grid.transform @ transformer.transform(*point)
    if not (math.isfinite(row) and math.isfinite(column)):
        return -1, -1
    return math.floor(row), math.floor(column)


def labelled_ground(path: Path) -> LabelledGround:
    """Ground that is already labelled.

    Args:
        path: A dataset with a folder `masks`, a folder of masks, one mask, or a vector file of labelled polygons, such
            as squares that were suggested earlier. In a mask, pixels with 255 or nodata are not labelled.

    Raises:
        RasterError: The path has no mask or polygon that can be read.
    """
    if path.is_dir():
        folder = path / "masks" if (path / "masks").is_dir() else path
        files = files_in(folder)
        if not files:
            raise RasterError(f"{path}: holds no mask; wanted a dataset, a folder of masks, a mask or polygons")
        polygons = [polygon for file in files for polygon in _labelled_part(file)]
    elif path.suffix.lower() in RASTER_SUFFIXES:
        polygons = _labelled_part(path)
    else:
        polygons = list(_features(path).geometry)
    return LabelledGround(polygons, shapely.STRtree(polygons))


def _labelled_part(mask: Path) -> list[shapely.Geometry]:
    grid = read_grid(mask)
    if grid.crs is None:
        raise RasterError(f"{mask}: has no CRS, so its position is unknown; georeference the mask")
    shrink = max(1.0, max(grid.height, grid.width) / COARSE)
    shape = max(1, round(grid.height / shrink)), max(1, round(grid.width / shrink))
    with open_raster(mask) as dataset:
        values, valid = read_band(dataset, 1, shape=shape)
    labelled = (valid & (values != IGNORE)).astype(np.uint8)
    scale = grid.transform @ rasterio.Affine.scale(grid.width / shape[1], grid.height / shape[0])
    found = rasterio.features.shapes(labelled, mask=labelled > 0, transform=scale)
    shapes = [shapely.geometry.shape(geometry) for geometry, _ in found]
    return list(geopandas.GeoSeries(shapes, crs=CRS.from_user_input(grid.crs)).to_crs(LONLAT)) if shapes else []


def zone_names(outlines: Sequence[shapely.Polygon], zones: Path, column: str | None) -> list[str]:
    """Name of the zone in which the centre of each outline lies; empty outside all zones.

    Args:
        outlines: Outlines in WGS 84.
        zones: Vector file of polygons.
        column: Column with the names; None for the row numbers.

    Raises:
        RasterError: The file cannot be read or has no such column.
    """
    frame = _features(zones)
    if column is not None and column not in frame.columns:
        named = ", ".join(str(name) for name in frame.columns if name != "geometry")
        raise RasterError(f"{zones}: has no column '{column}'; its columns are {named or 'none'}; name one of them")
    names = [str(value) for value in (frame[column] if column else range(1, len(frame) + 1))]
    tree = shapely.STRtree(frame.geometry.to_numpy())
    hits = [tree.query(outline.centroid, predicate="intersects") for outline in outlines]
    return [names[int(hit.min())] if len(hit) else "" for hit in hits]


def example_points(path: Path) -> list[tuple[float, float]]:
    """Longitude and latitude of each example; a polygon is represented by a point inside the polygon.

    Raises:
        RasterError: The file cannot be read or holds no geometry.
    """
    points = _features(path).geometry.representative_point()
    return [(float(point.x), float(point.y)) for point in points]


def _features(path: Path) -> geopandas.GeoDataFrame:
    """Features of a vector file in WGS 84; features without a geometry are left out."""
    frame = read_features(path)
    if not isinstance(frame, geopandas.GeoDataFrame) or frame.crs is None:
        raise RasterError(f"{path}: has no geometry with a CRS; wanted features that state their CRS")
    frame = frame[frame.geometry.notna() & ~frame.geometry.is_empty]
    if not len(frame):
        raise RasterError(f"{path}: holds no feature with a geometry; check the file")
    return frame.to_crs(LONLAT)
