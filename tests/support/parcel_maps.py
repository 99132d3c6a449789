"""Small class maps and their parcels."""

from pathlib import Path

import geopandas
import numpy as np
import rasterio
from rasterio import Affine
from rasterio.features import shapes
from shapely.geometry import Polygon, shape

from seg.labels import CROPLAND, IGNORE
from seg.parcels.settings import PolygonSettings
from seg.parcels.write_parcels import write_parcels

TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_000_000)
PLACE = {"crs": "EPSG:32633", "transform": TRANSFORM}


def write_map(path: Path, pixels: np.ndarray, **profile: object) -> Path:
    """Write a GeoTIFF of one band, by default uint8 with nodata 255 and 10 m pixels in UTM."""
    height, width = pixels.shape
    size = {"driver": "GTiff", "count": 1, "height": height, "width": width, "dtype": "uint8", "nodata": IGNORE}
    with rasterio.open(path, "w", **(size | PLACE | profile)) as dataset:
        dataset.write(pixels.astype(dataset.dtypes[0]), 1)
    return path


def parcels_of(
    folder: Path, pixels: np.ndarray, profile: dict[str, object] | None = None, **settings: object
) -> geopandas.GeoDataFrame:
    """Parcels of a map, read back from GeoParquet.

    Args:
        folder: Folder for temporary files.
        pixels: (H, W) classes.
        profile: Profile of the map's GeoTIFF.
        settings: Fields of `PolygonSettings`; interior and probability are arrays.
    """
    for name in {"interior", "probability"} & settings.keys():
        settings[name] = write_map(folder / f"{name}.tif", settings[name], **(profile or {}))
    source = write_map(folder / "map.tif", pixels, **(profile or {}))
    write_parcels(source, folder / "parcels.parquet", PolygonSettings(**settings))
    return geopandas.read_parquet(folder / "parcels.parquet")


def whole_map_polygons(pixels: np.ndarray) -> list[Polygon]:
    """Cropland polygons that rasterio computes from the whole map at once."""
    cropland = (pixels == CROPLAND).astype(np.uint8)
    return [shape(found) for found, _ in shapes(cropland, mask=cropland > 0, transform=TRANSFORM)]


def normalized(polygons: object) -> list[bytes]:
    """Normal form of geometries, for comparison."""
    return sorted(polygon.normalize().wkb for polygon in polygons)
