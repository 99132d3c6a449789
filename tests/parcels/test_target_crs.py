from pathlib import Path

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from rasterio import Affine

from seg.errors import ConfigError
from seg.parcels.settings import PolygonSettings
from seg.parcels.target_crs import Projection, densified, named_crs
from seg.parcels.write_parcels import write_parcels
from support.parcel_maps import write_map

CASES = [
    # CRS of the map, its corner (easting or longitude first), pixel, --crs, EPSG code and range of eastings
    ("EPSG:32650", (500_000, 4_400_000), 10, "cgcs2000-3deg", 4527, (39_000_000, 40_000_000)),
    ("EPSG:32650", (500_000, 4_400_000), 10, "cgcs2000-3deg-cm", 4548, (0, 1_000_000)),
    ("EPSG:4490", (117.0, 36.0), 1e-4, "cgcs2000-6deg", 4498, (20_000_000, 21_000_000)),
    ("EPSG:4490", (117.0, 36.0), 1e-4, "cgcs2000-6deg-cm", 4509, (0, 1_000_000)),
    ("EPSG:4326", (74.0, 39.5), 1e-4, "cgcs2000-3deg", 4513, (25_000_000, 26_000_000)),
    ("EPSG:4326", (134.9, 48.3), 1e-4, "cgcs2000-3deg-cm", 4554, (0, 1_000_000)),
    ("EPSG:4528", (40_500_000, 3_500_000), 2, "EPSG:4549", 4549, (0, 1_000_000)),
    ("EPSG:4547", (500_000, 3_500_000), 2, "EPSG:4490", 4490, (113, 115)),
]


def projection_of(crs: str) -> pyproj.CRS:
    return pyproj.CRS.from_user_input(crs)


@pytest.mark.parametrize(("crs", "corner", "pixel", "name", "code", "eastings"), CASES)
def test_zones_and_axis_orders_agree_with_proj(
    tmp_path: Path,
    crs: str,
    corner: tuple[float, float],
    pixel: float,
    name: str,
    code: int,
    eastings: tuple[float, float],
) -> None:
    transform = Affine(pixel, 0, corner[0], 0, -pixel, corner[1])
    source = write_map(tmp_path / "map.tif", np.ones((1, 1)), crs=crs, transform=transform)
    write_parcels(source, tmp_path / "p.parquet", PolygonSettings(crs=name))
    frame = geopandas.read_parquet(tmp_path / "p.parquet")
    assert frame.crs.to_epsg() == code
    found = shapely.get_coordinates(frame.geometry)
    assert (found[:, 0] >= eastings[0]).all()
    assert (found[:, 0] < eastings[1]).all()
    # PROJ with the axes of the EPSG definitions: northing first in all of these CRSs but UTM.
    lattice = np.array([transform @ xy for xy in ((0, 0), (1, 0), (1, 1), (0, 1))])
    given = lattice if crs.startswith("EPSG:326") else lattice[:, ::-1]
    north, east = pyproj.Transformer.from_crs(crs, code).transform(*given.T)
    expected = np.column_stack([east, north])
    nearest = np.abs(found[:, None] - expected[None]).max(axis=2).min(axis=0)
    assert nearest.max() < (1e-3 if code != 4490 else 1e-8)
    assert frame["area"][0] == pytest.approx(geodesic_hectares(lattice, crs), rel=1e-9)


def geodesic_hectares(xy: np.ndarray, crs: str) -> float:
    lonlat = pyproj.Transformer.from_crs(crs, projection_of(crs).geodetic_crs, always_xy=True).transform(*xy.T)
    geod = projection_of(crs).get_geod()
    return abs(geod.polygon_area_perimeter(*lonlat)[0]) / 1e4


def test_split_parcels_share_their_edges_in_another_crs(tmp_path: Path) -> None:
    pixels = np.ones((5, 6), dtype=np.uint8)
    interior = np.zeros_like(pixels)
    interior[0, 0] = interior[2, 5] = interior[4, 1] = 1
    place = {"crs": "EPSG:32650", "transform": Affine(200, 0, 520_000, 0, -200, 4_400_000)}
    source = write_map(tmp_path / "map.tif", pixels, **place)
    split = write_map(tmp_path / "interior.tif", interior, **place)
    write_parcels(source, tmp_path / "p.parquet", PolygonSettings(interior=split, crs="cgcs2000-3deg"))
    polygons = geopandas.read_parquet(tmp_path / "p.parquet").geometry.to_numpy()
    assert len(polygons) == 3
    assert shapely.coverage_is_valid(polygons)
    assert shapely.union_all(polygons).geom_type == "Polygon"
    # Edges of up to 1 km were split, since straight lines of one CRS bend in another.
    assert shapely.get_num_coordinates(polygons).sum() > 40


def test_new_vertices_do_not_depend_on_the_direction_of_an_edge() -> None:
    square = shapely.box(0.1, 0.2, 3.3, 1.7)
    there, back = densified(np.array([square, shapely.reverse(square)]), 0.31)
    assert set(there.exterior.coords) == set(back.exterior.coords)
    assert there.equals(square)
    assert max(np.hypot(*np.diff(there.exterior.coords, axis=0).T)) <= 0.31


@pytest.mark.parametrize(
    ("name", "longitude", "message"),
    [
        ("cgcs2000-3deg", 12.0, r"data lie at longitude 12\.00; zones of CGCS2000 reach from 73\.5 to 136\.5"),
        ("EPSG:4", 117.0, "--crs is EPSG:4, which PROJ does not know; wanted an EPSG code"),
        ("EPSG:4978", 117.0, "wanted a geographic or projected CRS of two dimensions"),
    ],
)
def test_a_crs_that_cannot_be_used_is_refused(name: str, longitude: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        named_crs(name, longitude, "--crs")


def test_an_equal_crs_leaves_polygons_as_they_are() -> None:
    crs = projection_of("EPSG:4528")
    polygons = np.array([shapely.box(0, 0, 1e5, 1e5)])
    assert Projection(crs, crs, "p.gpkg").polygons(polygons) is polygons


def test_a_crs_for_geojson_and_an_encoding_for_a_geopackage_are_refused(tmp_path: Path) -> None:
    source = write_map(tmp_path / "map.tif", np.ones((1, 1)))
    with pytest.raises(ConfigError, match="GeoJSON is always in WGS 84"):
        write_parcels(source, tmp_path / "p.geojson", PolygonSettings(crs="EPSG:4526"))
    with pytest.raises(ConfigError, match=r"p\.gpkg has no encoding; only a \.shp has one"):
        write_parcels(source, tmp_path / "p.gpkg", PolygonSettings(encoding="gbk"))
