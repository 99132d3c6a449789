import zipfile
from pathlib import Path

import geopandas
import pyogrio
import pytest
import shapely

from seg.errors import ConfigError, RasterError
from seg.raster.vectors.features import open_labels, read_features
from seg.raster.vectors.settings import BurnSettings

CROPLAND = BurnSettings(column="地类", cropland="耕地")


@pytest.fixture
def shapefile(tmp_path: Path) -> Path:
    """Two parcels with GBK attributes and a .cpg file that declares UTF-8."""
    columns = {"地类": ["耕地", "林地"], "DLBM": ["0103", "0301"]}
    boxes = [shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]
    path = tmp_path / "dltb.shp"
    pyogrio.write_dataframe(geopandas.GeoDataFrame(columns, geometry=boxes, crs="EPSG:32650"), path, encoding="GBK")
    path.with_suffix(".cpg").write_text("UTF-8")
    return path


def test_gbk_text_that_a_file_declares_as_utf8_is_read(shapefile: Path) -> None:
    assert open_labels(shapefile, CROPLAND).features(None)[1].tolist() == [1, 0]


def test_without_a_declared_encoding_the_error_names_the_option(shapefile: Path) -> None:
    shapefile.with_suffix(".cpg").unlink()
    with pytest.raises(RasterError, match=r"the text was read as ISO-8859-1; .* such as --encoding=GBK"):
        open_labels(shapefile, CROPLAND)
    named = BurnSettings(column="地类", cropland="耕地", encoding="GBK")
    assert open_labels(shapefile, named).features(None)[1].tolist() == [1, 0]
    by_code = BurnSettings(column="DLBM", cropland="0103")
    assert open_labels(shapefile, by_code).features(None)[1].tolist() == [1, 0]


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ConfigError, match="encoding is 'GBX', which is unknown; wanted an encoding such as GBK"):
        BurnSettings(encoding="GBX")


def of_wkt(folder: Path, kind: str, wkt: str) -> Path:
    """A layer of one geometry, which GDAL reads from text, since shapely writes neither curves nor measures."""
    (folder / "a.csv").write_text(f'WKT\n"{wkt}"\n')
    path = folder / "a.vrt"
    path.write_text(
        f'<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>{folder / "a.csv"}</SrcDataSource>'
        f"<LayerSRS>EPSG:32633</LayerSRS><GeometryType>{kind}</GeometryType></OGRVRTLayer></OGRVRTDataSource>"
    )
    return path


@pytest.mark.parametrize(
    ("kind", "wkt"),
    [
        ("wkbPolygonZM", "POLYGON ZM((0 0 1 2,4 0 1 2,4 4 1 2,0 0 1 2))"),
        ("wkbPolygonM", "POLYGON M((0 0 2,4 0 2,4 4 2,0 0 2))"),
        ("wkbCurvePolygon", "CURVEPOLYGON(CIRCULARSTRING(0 0,2 2,4 0,2 -2,0 0))"),
        ("wkbMultiSurface", "MULTISURFACE(CURVEPOLYGON(CIRCULARSTRING(0 0,2 2,4 0,2 -2,0 0)))"),
    ],
)
def test_measures_heights_and_curves_are_read_in_silence(tmp_path: Path, kind: str, wkt: str) -> None:
    frame, _ = open_labels(of_wkt(tmp_path, kind, wkt), BurnSettings()).features(None)  # A warning is an error.
    assert frame.geometry.area.item() > 7


def test_an_empty_layer_is_named_in_the_error(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    empty = geopandas.GeoDataFrame({"a": []}, geometry=[], crs="EPSG:32633")
    pyogrio.write_dataframe(empty, path, layer="parcels", geometry_type="Polygon")
    with pytest.raises(RasterError, match=r"a\.gpkg: its layer 'parcels' has no feature; wanted polygons"):
        open_labels(path, BurnSettings())


def test_the_error_about_a_missing_shx_says_how_to_restore_it(shapefile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapefile.with_suffix(".shx").unlink()
    with pytest.raises(RasterError, match=r"dltb\.shp: its index dltb\.shx is missing; copy .* SHAPE_RESTORE_SHX=YES"):
        open_labels(shapefile, CROPLAND)
    pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": True})
    try:
        assert len(open_labels(shapefile, CROPLAND).features(None)[1]) == 2
    finally:
        pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": None})


def test_all_columns_are_read_in_any_encoding_and_from_a_named_layer(shapefile: Path) -> None:
    frame = read_features(shapefile)
    assert frame["地类"].tolist() == ["耕地", "林地"]
    package = shapefile.with_name("several.gpkg")
    for layer in ("first", "second"):
        pyogrio.write_dataframe(frame[frame["DLBM"] == "0103"] if layer == "first" else frame, package, layer=layer)
    assert len(read_features(Path(f"{package}|layername=second"))) == 2
    with pytest.raises(RasterError, match=r"has 2 layers, 'first', 'second'; choose one with .*gpkg\|layername=NAME"):
        read_features(package)


def test_a_layer_in_an_archive_is_read_by_its_name_in_gdal(shapefile: Path) -> None:
    archive = shapefile.with_name("parcels.zip")
    with zipfile.ZipFile(archive, "w") as packed:
        for file in shapefile.parent.glob("dltb.*"):
            packed.write(file, file.name)
    for name in (f"/vsizip/{archive}", f"/vsizip/{archive}/dltb.shp", str(archive)):
        assert len(open_labels(Path(name), CROPLAND).features(None)[1]) == 2


@pytest.mark.parametrize("far", [1e300, -1e12])
def test_coordinates_that_are_not_on_the_earth_are_named_in_the_error(tmp_path: Path, far: float) -> None:
    path, shape = tmp_path / "parcels.gpkg", shapely.Polygon([(0, 0), (0, 9), (far, 9)])
    pyogrio.write_dataframe(geopandas.GeoDataFrame({"地类": ["耕地"]}, geometry=[shape], crs="EPSG:32650"), path)
    with pytest.raises(RasterError, match=r"parcels.gpkg: 1 coordinates are not on the Earth, such as"):
        open_labels(path, CROPLAND).features(None)
    with pytest.raises(RasterError, match="not on the Earth"):
        read_features(path)
