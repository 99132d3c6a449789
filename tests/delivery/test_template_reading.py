from pathlib import Path

import pytest

from seg.delivery.template_reading import read_template
from seg.errors import ConfigError
from support.deliveries import FIELDS, FORMATS, template_text, write_template
from support.project import ROOT

SHIPPED = sorted((ROOT / "configs" / "delivery").glob("*.yaml"))
ONE = "fields: [{name: a, type: integer, source: number}]"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_templates_are_valid(path: Path) -> None:
    assert read_template(path).zone_columns <= {"code", "name", "QXDM", "QXMC"}


def test_the_template_of_the_land_survey_says_that_it_must_be_checked() -> None:
    template = read_template(ROOT / "configs" / "delivery" / "land_survey_dltb.yaml")
    assert "against the local rule" in (template.note or "")
    assert [rule.name for rule in template.fields][:5] == ["BSM", "YSDM", "TBYBH", "TBBH", "DLBM"]


def test_codes_keep_their_zeros_and_a_file_may_be_in_gbk(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_bytes(template_text("gdb").encode("gbk"))
    template = read_template(tmp_path / "t.yaml")
    assert template.fields[2].code_map == {"旱地": "0103", "水田": "0101"}
    assert template.least_area.square_metres == {None: 2000.0, "0101": 3000.0}
    assert template.values == {"year": "2026"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "the template is a list; wanted keys and values"),
        ("a: [", "not YAML"),
        (f"fil: a.gpkg\n{ONE}", "unknown key 'fil'; the nearest is 'file'"),
        ("file: a.parquet", "the template has no 'fields'; add it"),
        (f"file: a.kml\n{ONE}", "file is a.kml; wanted a name that ends in .gpkg"),
        (f"file: ../a.parquet\n{ONE}", "wanted a path within the delivered folder"),
        (f"file: /a.parquet\n{ONE}", "wanted a path within the delivered folder"),
        (f"file: a.gpkg\n{ONE}", "layer is None; wanted a name"),
        (f"file: a.shp\nlayer: a\n{ONE}", "layer is a; wanted null, since its file holds one layer"),
        (f"file: '{{code}}.parquet'\n{ONE}", "{code}: unknown placeholder; wanted {zone.COLUMN} or {value.NAME}"),
        (f"file: '{{value.x}}.parquet'\n{ONE}", "'value.x': values has no 'x'; add it"),
        (f"file: a.parquet\nrecords: none\n{ONE}", "records is 'none'; wanted a whole number"),
        (f"file: a.parquet\nrecords: 0\n{ONE}", "records is 0; wanted 1 or more"),
        (f"file: a.parquet\nencoding: latin\n{ONE}", "encoding is 'latin'; wanted utf-8 or gbk"),
        (f"file: a.parquet\ncrs: mars\n{ONE}", "crs is mars, which PROJ does not know"),
        (f"file: a.parquet\nleast_area: {{others: 3acre}}\n{ONE}", "least_area is '3acre'; wanted a number and a unit"),
        (
            f"file: a.parquet\nleast_area: {{by: b, classes: {{x: 1mu}}}}\n{ONE}",
            "the template has no field 'b' with a source",
        ),
        (f"file: a.geojson\n{ONE}", "crs is map, but GeoJSON is always in EPSG:4326; set crs to EPSG:4326"),
        ("file: a.parquet\nfields: []", "fields has no field"),
        (
            "file: a.parquet\nfields: [{name: OBJECTID, type: date}]",
            "field 'OBJECTID': the format uses this name",
        ),
        ("file: a.parquet\nfields: [{name: a, type: integer, codes: [x]}]", "field 'a': the code 'x' is not a number"),
        ("file: a.parquet\nfields: [{name: a, type: text}]", "field 'a': has no width"),
        ("file: a.parquet\nfields: [{name: a b, type: date}]", "wanted a name of letters, digits and underscores"),
        ("file: a.parquet\nfields: [{name: a, type: date, width: 8}]", "width is 8; wanted none for a date"),
        ("file: a.parquet\nfields: [{name: a, type: integer, width: 19}]", "width is 19; wanted 1 to 18"),
        ("file: a.parquet\nfields: [{name: a, type: real, width: 9}]", "decimals is None; wanted decimals for real"),
        ("file: a.parquet\nfields: [{name: a, type: real, width: 9, decimals: 7}]", "decimals is 7; wanted 0 to 6"),
        ("file: a.parquet\nfields: [{name: a, type: date}, {name: A, type: date}]", "fields has two fields A"),
        ("file: a.parquet\nfields: [{name: a, type: number}]", "fields[0].type is 'number'; wanted text or integer"),
        ("file: a.parquet\nfields: [{name: a, type: date, required: 1}]", "fields[0].required is '1'; wanted true or"),
    ],
)
def test_a_mistake_in_a_template_is_named_in_the_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        write_template(tmp_path, text)
    assert message in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / "template.yaml"))
    assert "\n" not in str(raised.value)


def test_names_are_filled_from_zones_and_values(tmp_path: Path) -> None:
    template = write_template(tmp_path, FORMATS["gdb"] + FIELDS.replace("CRS", "map"))
    file, layer = template.names({"QXDM": "150101"})
    assert (str(file), layer) == ("out_2026/DLTB.gdb", "DLTB150101")
    for value in (None, "a/b", "..", "x\n"):
        with pytest.raises(ConfigError, match="which cannot be part of a name"):
            template.names({"QXDM": value})
    with pytest.raises(ConfigError, match="the layer 'DLTB1 2'"):
        template.names({"QXDM": "1 2"})
