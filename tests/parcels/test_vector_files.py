import datetime
import itertools
from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from pyproj import CRS

from seg.errors import ConfigError, WriteError
from seg.parcels import shapefile
from seg.parcels.settings import PolygonSettings
from seg.parcels.shapefile import dbf_names
from seg.parcels.vector_files import Layer, geometry_field, put_vector_in_place, write_layer
from seg.parcels.write_parcels import write_parcels
from support.parcel_maps import write_map

PIXELS = np.array([[1, 1, 0, 0, 1], [1, 0, 0, 1, 1], [0, 0, 0, 0, 0], [0, 1, 0, 0, 1]])
OWNERS = pa.table(
    {
        "权属单位名称": ["水田村", "旱地,村", None],
        "权属单位名称代码": pa.array([9_007_199_254_740_993, None, 140_100_000_000_000_001]),
        "日期": pa.array([datetime.date(2026, 11, 28), None, datetime.date(1949, 10, 1)]),
        "share": [0.125, None, 1e-5],
    }
)
CUT = dict(zip(OWNERS.column_names, ["权属单位名", "权属单位_1", "日期", "share"], strict=True))
"""Names cut to ten bytes of GBK."""


def owners(folder: Path) -> Path:
    """Three strips across the map. A parcel at the right edge of the map shares 5 m with the second strip and 15 m with
    the third."""
    edges = [499_000, 500_025, 500_035, 501_000]
    strips = [shapely.box(west, 4_990_000, east, 5_010_000) for west, east in itertools.pairwise(edges)]
    path = folder / "owners.gpkg"
    table = OWNERS.append_column("geometry", pa.array(shapely.to_wkb(strips), pa.binary()))
    pyogrio.write_arrow(table, path, geometry_name="geometry", geometry_type="Polygon", crs="EPSG:32633")
    return path


def read_back(path: Path) -> tuple[pa.Table, geopandas.GeoSeries]:
    """Attributes, and polygons in the CRS of the file."""
    if path.suffix == ".parquet":
        return pq.read_table(path), geopandas.read_parquet(path).geometry
    return pyogrio.read_arrow(path)[1], pyogrio.read_dataframe(path).geometry


@pytest.mark.parametrize("name", ["p.gdb", "p.shp", "p.gpkg", "p.parquet", "p.geojson"])
def test_attributes_and_areas_survive_every_format(tmp_path: Path, name: str) -> None:
    source = write_map(tmp_path / "map.tif", PIXELS)
    encoding = "gbk" if name == "p.shp" else None
    settings = PolygonSettings(attributes=owners(tmp_path), encoding=encoding)
    written = write_parcels(source, tmp_path / name, settings)
    table, polygons = read_back(tmp_path / name)
    names = CUT if name == "p.shp" else dict.fromkeys(OWNERS.column_names)
    found = {key: table.column(names[key] or key).to_pylist() for key in OWNERS.column_names}
    assert table.column("id").to_pylist() == ["r0c0", "r0c4", "r3c1", "r3c4"]
    assert found == {key: [values[place] for place in (0, 2, 0, 2)] for key, values in OWNERS.to_pydict().items()} | {
        "share": [0.125, 1e-5, 0.125, 1e-5]
    }
    areas = np.array(table.column("area").to_pylist())
    geod = CRS(32633).get_geod()
    measured = [abs(geod.geometry_area_perimeter(polygon)[0]) / 1e4 for polygon in polygons.to_crs("OGC:CRS84")]
    np.testing.assert_allclose(areas, measured, rtol=1e-6)
    assert areas.sum() == pytest.approx(written.hectares, rel=1e-8)
    if name == "p.shp":
        assert (tmp_path / "p.cpg").read_text() == "GBK"
        assert {path.name for path in tmp_path.glob("p.*")} == {
            f"p.{end}" for end in ("shp", "shx", "dbf", "prj", "cpg")
        }


@pytest.mark.parametrize("name", ["p.gdb", "p.shp"])
def test_a_format_of_several_files_is_replaced_whole(tmp_path: Path, name: str) -> None:
    source = write_map(tmp_path / "map.tif", PIXELS)
    write_parcels(source, tmp_path / name, PolygonSettings())
    (tmp_path / "p.sbn").write_bytes(b"index of the older shapefile")
    write_parcels(source, tmp_path / name, PolygonSettings(min_area="300m2"))
    assert pyogrio.read_info(tmp_path / name)["features"] == 2
    assert (tmp_path / "p.sbn").exists() == (name == "p.gdb")
    assert not list(tmp_path.glob(".*"))


def test_a_file_geodatabase_of_another_program_is_kept(tmp_path: Path) -> None:
    source = write_map(tmp_path / "map.tif", PIXELS)
    (tmp_path / "folder.gdb").mkdir()
    (tmp_path / "folder.gdb" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"folder\.gdb: is a folder, but not a File Geodatabase"):
        write_parcels(source, tmp_path / "folder.gdb", PolygonSettings())
    pyogrio.write_dataframe(geopandas.read_file(owners(tmp_path)), tmp_path / "owners.gdb", driver="OpenFileGDB")
    with pytest.raises(ConfigError, match=r"owners\.gdb: has a column 权属单位名称, so this project did not write it"):
        write_parcels(source, tmp_path / "owners.gdb", PolygonSettings())


def test_long_names_are_cut_to_ten_bytes_without_clashes() -> None:
    names = ["权属单位名称", "权属单位名称代码", "mean_probability", "MEAN_PROBA", "id"]
    assert dbf_names(names, "gbk") == {
        "权属单位名称": "权属单位名",
        "权属单位名称代码": "权属单位_1",
        "mean_probability": "mean_pro_1",
        "MEAN_PROBA": "MEAN_PROBA",
        "id": "id",
    }
    assert list(dbf_names(names, "utf-8").values()) == ["权属单", "权属_1", "mean_pro_1", "MEAN_PROBA", "id"]


def layer_of(values: pa.Array, encoding: shapefile.Encoding = "gbk", **metadata: str) -> tuple[Layer, pa.RecordBatch]:
    """A layer with one column, `x`, and one batch of it."""
    schema = pa.schema([geometry_field(), pa.field("x", values.type, metadata=metadata or None)])
    shapes = pa.array(shapely.to_wkb([shapely.box(0, 0, 1, 1)] * len(values)), pa.binary())
    return Layer("p", schema, CRS(4528), encoding), pa.record_batch([shapes, values], schema=schema)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array(["水", "☃ 山"]), "'☃ 山' in column 'x' has the character '☃', which GBK cannot write"),
        (pa.array(["水" * 128]), "has 256 bytes in GBK; wanted at most 254"),
        (pa.array([10**18]), "1000000000000000000 in column 'x' has more digits than a shapefile holds exactly"),
        (pa.array([1e12]), "a value of column 'x' does not fit a column of type decimal"),
    ],
)
def test_a_value_that_a_shapefile_cannot_hold_is_refused(tmp_path: Path, values: pa.Array, message: str) -> None:
    layer, batch = layer_of(values)
    with pytest.raises(ConfigError, match=rf"p\.shp: .*{message}"):
        write_layer(tmp_path / "p.shp", layer, [batch])


def test_a_name_that_gbk_cannot_write_is_refused(tmp_path: Path) -> None:
    layer, batch = layer_of(pa.array([1]))
    named = Layer("p", layer.schema.set(1, pa.field("☃", pa.int64())), layer.crs, "gbk")
    with pytest.raises(ConfigError, match="the name '☃' has the character '☃', which GBK cannot write"):
        write_layer(tmp_path / "p.shp", named, [batch])


def test_a_shapefile_above_its_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, batch = layer_of(pa.array([1, 2, 3]))
    # A box has a record of 52 bytes, one ring of 4 bytes and five vertices of 16 bytes.
    monkeypatch.setattr(shapefile, "MOST_BYTES", 3 * (52 + 4 + 80))
    write_layer(tmp_path / "p.shp", layer, [batch])
    assert (tmp_path / "p.shp").stat().st_size == 100 + 3 * (52 + 4 + 80)
    with pytest.raises(ConfigError, match="would be larger than 2 GiB, the limit of a shapefile"):
        write_layer(tmp_path / "q.shp", layer, [batch, batch.slice(0, 1)])


def test_widths_and_decimals_are_declared(tmp_path: Path) -> None:
    values = pa.array([12.345, None, float("nan")])
    layer, batch = layer_of(values, **{"GDAL:OGR:width": "15", "decimals": "2"})
    write_layer(tmp_path / "p.shp", layer, [batch])
    descriptor = (tmp_path / "p.dbf").read_bytes()[32:64]
    assert (descriptor[11:12], descriptor[16], descriptor[17]) == (b"N", 15, 2)
    assert pyogrio.read_arrow(tmp_path / "p.shp")[1]["x"].to_pylist() == [12.35, None, None]


def test_a_replacement_that_fails_leaves_no_shp(tmp_path: Path) -> None:
    layer, batch = layer_of(pa.array([1]))
    (tmp_path / "work").mkdir()
    write_layer(tmp_path / "work" / "p.shp", layer, [batch])
    (tmp_path / "p.shp").write_bytes(b"older")
    (tmp_path / "p.dbf").mkdir()  # cannot be replaced by a file
    with pytest.raises(OSError, match=r"p\.dbf"):
        put_vector_in_place(tmp_path / "work" / "p.shp", tmp_path / "p.shp")
    assert not (tmp_path / "p.shp").exists()


def test_a_file_in_a_missing_folder_is_named_in_the_error(tmp_path: Path) -> None:
    layer, batch = layer_of(pa.array([1]))
    with pytest.raises(WriteError, match=r"p\.gdb: cannot be written"):
        write_layer(tmp_path / "nowhere" / "p.gdb", layer, [batch])
