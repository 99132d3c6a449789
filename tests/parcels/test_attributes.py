from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import shapely
from rasterio import Affine
from shapely import MultiPolygon, Point, box

from seg.errors import ConfigError, RasterError
from seg.parcels.attributes import Attributes, LargestOverlap
from seg.parcels.settings import PolygonSettings
from seg.parcels.write_parcels import write_parcels
from support.parcel_maps import write_map

HALVES = {"name": ["耕地东", "耕地西"], "geometry": [box(100, 0, 200, 100), box(0, 0, 100, 100)]}


def test_the_feature_with_the_largest_common_area_is_chosen() -> None:
    overlap = LargestOverlap(np.array([box(0, 0, 10, 10), None, box(10, 0, 30, 10), box(0, 0, 10, 10)]))
    others = np.array([box(1, 1, 2, 2), box(8, 0, 13, 10), box(9, 0, 10.5, 10), box(30, 0, 40, 10), box(50, 0, 51, 1)])
    assert overlap.of(others).tolist() == [0, 2, 0, -1, -1]


def test_an_invalid_polygon_is_repaired(tmp_path: Path) -> None:
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    columns = {"n": [1], "SHAPE_Area": [50.0]}
    geopandas.GeoDataFrame(columns, geometry=[bow], crs="EPSG:4528").to_file(tmp_path / "a.gpkg")
    read = Attributes(tmp_path / "a.gpkg")
    [polygon] = read.polygons
    assert read.table.column_names == ["n"]  # ArcGIS's measures of the polygon are left out
    assert isinstance(polygon, MultiPolygon)
    assert polygon.area == 50


@pytest.mark.parametrize("declared", [True, False])
def test_text_of_a_gbk_shapefile_is_read(tmp_path: Path, declared: bool) -> None:
    frame = geopandas.GeoDataFrame(HALVES, crs="EPSG:4528")
    pyogrio.write_dataframe(frame, tmp_path / "a.shp", encoding="GBK")
    if not declared:
        (tmp_path / "a.cpg").unlink()
    assert Attributes(tmp_path / "a.shp").table.column("name").to_pylist() == HALVES["name"]


def test_attributes_may_have_another_crs_and_format(tmp_path: Path) -> None:
    place = {"crs": "EPSG:4547", "transform": Affine(10, 0, 20, 0, -10, 60)}
    geopandas.GeoDataFrame(HALVES, crs="EPSG:4547").to_crs("EPSG:4490").to_parquet(tmp_path / "a.parquet")
    source = write_map(tmp_path / "map.tif", np.ones((1, 1)), **place)
    write_parcels(source, tmp_path / "p.gpkg", PolygonSettings(attributes=tmp_path / "a.parquet"))
    assert geopandas.read_file(tmp_path / "p.gpkg")["name"].tolist() == ["耕地西"]


def test_unusable_attributes_are_refused(tmp_path: Path) -> None:
    source = write_map(tmp_path / "map.tif", np.ones((1, 1)))
    geopandas.GeoDataFrame({"n": [1]}, geometry=[Point(0, 0)], crs="EPSG:4528").to_file(tmp_path / "points.gpkg")
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        geopandas.GeoDataFrame(HALVES).to_file(tmp_path / "nowhere.gpkg")
    geopandas.GeoDataFrame(HALVES | {"Area": [1, 2]}, crs="EPSG:32633").to_file(tmp_path / "clash.gpkg")
    far = box(0, 0, 1e300, 1)
    geopandas.GeoDataFrame({"n": [1]}, geometry=[far], crs="EPSG:4528").to_file(tmp_path / "far.gpkg")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    for name, error, message in [
        ("points.gpkg", RasterError, r"points\.gpkg: has points or lines; wanted polygons"),
        ("nowhere.gpkg", RasterError, r"nowhere\.gpkg: has no CRS that PROJ knows"),
        ("far.gpkg", RasterError, r"far\.gpkg: \d coordinates are not on the Earth, such as 1e\+300"),
        ("missing.gpkg", RasterError, r"missing\.gpkg: no such file"),
        ("damaged.parquet", RasterError, r"damaged\.parquet: not a readable layer of polygons"),
        ("clash.gpkg", ConfigError, r"the column 'Area' has a name that parcels or their format use"),
    ]:
        with pytest.raises(error, match=message):
            write_parcels(source, tmp_path / "p.gpkg", PolygonSettings(attributes=tmp_path / name))
    assert not (tmp_path / "p.gpkg").exists()
