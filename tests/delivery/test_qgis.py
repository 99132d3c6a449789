import sqlite3
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio

from seg.delivery.qgis import write_class_style, write_ramp_style
from support.commands import assert_mistake, run_command

WriteRaster = Callable[..., Path]


@pytest.fixture
def class_map(write_raster: WriteRaster, tmp_path: Path) -> Path:
    pixels = np.zeros((20, 30), np.uint8)
    pixels[3:9, 4:15] = pixels[12:18, 2:9] = 1
    return write_raster(tmp_path / "map.tif", pixels, nodata=255)


def test_a_class_map_gets_colours_and_names_in_two_languages(class_map: Path) -> None:
    before = class_map.read_bytes()
    assert write_class_style(class_map) == [class_map.with_suffix(".qml"), Path(f"{class_map}.aux.xml")]
    entries = Xml.parse(class_map.with_suffix(".qml")).findall(".//paletteEntry")
    assert [(one.get("value"), one.get("color"), one.get("label")) for one in entries] == [
        ("0", "#d8d2c4", "other 非耕地"),
        ("1", "#2e7d32", "cropland 耕地"),
    ]
    assert class_map.read_bytes() == before
    with rasterio.open(class_map) as dataset:
        assert f"{class_map}.aux.xml" in [Path(name).as_posix() for name in dataset.files]


def test_the_attribute_table_has_the_form_that_gdal_stores(class_map: Path) -> None:
    write_class_style(class_map)
    table = Xml.parse(f"{class_map}.aux.xml").find("./PAMRasterBand[@band='1']/GDALRasterAttributeTable")
    assert table is not None
    usage = {column.findtext("Name"): column.findtext("Usage") for column in table.findall("FieldDefn")}
    # GFU_MinMax, GFU_Name and GFU_Red of GDAL's enumeration GDALRATFieldUsage.
    assert (usage["Value"], usage["Class"], usage["Red"]) == ("5", "2", "6")
    rows = [[cell.text for cell in row] for row in table.findall("Row")]
    assert rows[1] == ["1", "cropland", "耕地", "46", "125", "50", "255"]


def test_a_style_that_a_user_saved_is_kept(class_map: Path) -> None:
    style = class_map.with_suffix(".qml")
    style.write_text("<qgis/>", encoding="utf-8")
    assert style not in write_class_style(class_map)
    assert write_ramp_style(class_map) == []
    assert style.read_text(encoding="utf-8") == "<qgis/>"


def test_a_probability_map_gets_a_ramp_over_its_scaled_values(class_map: Path) -> None:
    write_ramp_style(class_map, 0.5)
    assert write_ramp_style(class_map, 0.5) == [class_map.with_suffix(".qml")]
    items = Xml.parse(class_map.with_suffix(".qml")).findall(".//item")
    assert [(one.get("value"), one.get("label")) for one in items[:3]] == [
        ("0", "0 %"),
        ("0.125", "12.5 %"),
        ("0.25", "25 %"),
    ]


def test_parcels_get_a_default_style_in_their_geopackage(class_map: Path, tmp_path: Path) -> None:
    output = tmp_path / "parcels.gpkg"
    for _ in range(2):
        assert run_command("polygons", f"--input={class_map}", f"--output={output}", "--qgis=true").status == 0
    with sqlite3.connect(output) as database:
        styles = database.execute("SELECT f_table_name, useAsDefault, styleQML FROM layer_styles").fetchall()
    database.close()
    assert [style[:2] for style in styles] == [("parcels", 1)]
    assert "46,125,50" in Xml.fromstring(styles[0][2].partition("\n")[2]).find(".//Option[@name='color']").get("value")
    assert pyogrio.list_layers(output)[0].tolist() == ["parcels", "Polygon"]
    assert len(geopandas.read_file(output, layer="parcels")) == 2


def test_a_style_of_parcels_is_refused_for_a_file_that_is_not_a_geopackage(class_map: Path, tmp_path: Path) -> None:
    ran = run_command("polygons", f"--input={class_map}", f"--output={tmp_path / 'a.parquet'}", "--qgis=true")
    assert_mistake(ran, "--qgis is True", ".gpkg")
