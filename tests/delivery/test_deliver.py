import datetime
import os
from pathlib import Path

import geopandas
import pyogrio
import pytest
import shapely
from pyproj import CRS

from support.commands import assert_mistake, run_command
from support.deliveries import (
    CODES,
    EPSG,
    FORMATS,
    NAMES,
    SHAPES,
    ZONES,
    check,
    deliver,
    placed,
    read_records,
    template_text,
    write_inputs,
    write_template,
)

FILES = {
    "gdb": ["out_2026/DLTB.gdb"],
    "gpkg": ["out_2026/DLTB.gpkg"],
    "shp": ["out_2026/东县.shp", "out_2026/西县.shp"],
    "parquet": ["out_2026/150101.parquet", "out_2026/150102.parquet"],
    "geojson": ["out_2026/150101.geojson", "out_2026/150102.geojson"],
}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    write_inputs(tmp_path)
    return tmp_path


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_holds_the_same_records_and_passes_the_check(inputs: Path, form: str) -> None:
    write_template(inputs, template_text(form))
    ran = deliver(inputs)
    assert (ran.status, ran.err) == (0, "")
    assert "2 layers, 7 records, 2.80 ha" in ran.out
    assert "1 parcel with 0.09 ha smaller than the least area, left out" in ran.out
    assert names_in(inputs) == ["counties.gpkg", "delivery", "parcels.gpkg", "template.yaml"]
    files = [inputs / "delivery" / name for name in FILES[form]]
    layers = ["DLTB150101", "DLTB150102"] if form in {"gdb", "gpkg"} else [None, None]
    east, west = (read_records(file, layer) for file, layer in zip(files * 2, layers, strict=False))
    fields = ["BSM", "QXDM", "DLBM", "TBMJ", "权利人", "SJNF", "ID64", "RQ"]
    assert [name for name in east.column_names if name in fields] == fields
    assert east.select(fields).drop_columns(["TBMJ"]).to_pydict() == {
        "BSM": ["15010100000001", "15010100000002", "15010100000003", "15010100000004"],
        "QXDM": ["150101"] * 4,
        "DLBM": ["0103", "0101", "0103", "0103"],
        "权利人": ["张三", "李四", "王五", "赵六"],
        "SJNF": [2026] * 4,
        "ID64": [9_007_199_254_740_993, 2, 4, 5],
        "RQ": [
            datetime.date(2026, 11, 28),
            datetime.date(2026, 1, 2),
            datetime.date(1949, 10, 1),
            datetime.date(2026, 11, 28),
        ],
    }
    assert west.column("权利人").to_pylist() == ["李四", None, "赵六"]
    geod = CRS(EPSG).get_geod()
    pieces = [
        shape.intersection(zone)
        for zone in placed(ZONES)
        for shape in placed(SHAPES[:5])
        if shape.intersection(zone).area
    ]
    expected = geopandas.GeoSeries(pieces, crs=EPSG).to_crs("EPSG:4490")
    found = [*east.column("TBMJ").to_pylist(), *west.column("TBMJ").to_pylist()]
    assert found == [round(abs(geod.geometry_area_perimeter(piece)[0]), 2) for piece in expected]
    checked = check(inputs)
    assert (checked.status, checked.err) == (0, "")
    assert checked.out.endswith("delivery: 7 records in 2 layers; no fault\n")


def test_pieces_of_a_parcel_share_the_line_between_zones(inputs: Path) -> None:
    text = template_text("gdb", crs="EPSG:4490")
    write_template(inputs, text)
    deliver(inputs)
    gdb = inputs / "delivery" / FILES["gdb"][0]
    polygons = [pyogrio.read_dataframe(gdb, layer=f"DLTB{code}").geometry for code in CODES]
    assert polygons[0].crs.to_epsg() == 4490
    assert shapely.union_all([polygons[0][1], polygons[1][0]]).geom_type == "Polygon"


def test_records_beyond_the_limit_go_to_numbered_files(inputs: Path) -> None:
    write_template(inputs, template_text("gdb").replace("records: 8", "records: 3"))
    assert "3 files, 2 layers, 7 records" in deliver(inputs).out
    folder = inputs / "delivery" / "out_2026"
    assert names_in(folder) == ["DLTB_1.gdb", "DLTB_2.gdb", "DLTB_3.gdb"]
    layers = {path.name: [str(name) for name, _ in pyogrio.list_layers(path)] for path in folder.iterdir()}
    assert layers == {
        "DLTB_1.gdb": ["DLTB150101"],
        "DLTB_2.gdb": ["DLTB150101", "DLTB150102"],
        "DLTB_3.gdb": ["DLTB150102"],
    }
    numbers = [read_records(folder / f"DLTB_{part}.gdb", "DLTB150101").column("BSM").to_pylist() for part in (1, 2)]
    assert [text[-1] for part in numbers for text in part] == ["1", "2", "3", "4"]
    assert check(inputs).status == 0


def test_zones_of_cgcs2000_are_chosen_for_each_layer(inputs: Path) -> None:
    # Two counties on both sides of 118.5 E, where zone 39 ends.
    line = geopandas.GeoSeries.from_xy([118.5], [40.0], crs="EPSG:4490").to_crs(EPSG)[0].x
    shapes = [
        shapely.box(line - 50_000, 4_430_000, line, 4_440_000),
        shapely.box(line, 4_430_000, line + 50_000, 4_440_000),
    ]
    zones = geopandas.GeoDataFrame({"QXDM": CODES, "QXMC": NAMES}, geometry=shapes, crs=EPSG)
    zones.to_file(inputs / "counties.gpkg")
    parcel = geopandas.read_file(inputs / "parcels.gpkg").iloc[:1]
    parcel = parcel.set_geometry([shapely.box(line - 100, 4_435_000, line + 100, 4_435_100)], crs=EPSG)
    parcel.to_file(inputs / "parcels.gpkg", mode="w")
    write_template(inputs, template_text("gdb", crs="cgcs2000-3deg"))
    assert deliver(inputs).status == 0
    gdb = inputs / "delivery" / FILES["gdb"][0]
    codes = [pyogrio.read_dataframe(gdb, layer=f"DLTB{code}").crs.to_epsg() for code in CODES]
    assert codes == [4527, 4528]
    assert check(inputs).status == 0


def test_parcels_outside_the_zones_are_left_out_and_counted(inputs: Path) -> None:
    zones = geopandas.read_file(inputs / "counties.gpkg").iloc[:1]
    zones.to_file(inputs / "counties.gpkg", mode="w")
    write_template(inputs, template_text("gpkg"))
    assert "4 parcels with 1.46 ha outside the zones, left out" in deliver(inputs).out


def test_a_template_without_zones_makes_one_layer(inputs: Path) -> None:
    (inputs / "plain.yaml").write_text(
        "file: all.gpkg\nlayer: all\nfields:\n  - {name: id, type: integer, width: 9, source: number, unique: true}\n",
        encoding="utf-8",
    )
    words = [f"--template={inputs / 'plain.yaml'}", f"--parcels={inputs / 'parcels.gpkg'}"]
    ran = run_command("deliver", *words, f"--output={inputs / 'all'}")
    assert (ran.status, ran.err) == (0, "")
    assert read_records(inputs / "all" / "all.gpkg").column("id").to_pylist() == [1, 2, 3, 4, 5, 6]
    with_zones = run_command("deliver", *words, f"--output={inputs / 'b'}", f"--zones={inputs / 'counties.gpkg'}")
    assert_mistake(with_zones, "the template uses no column of zones; leave --zones out")


MISTAKES = [
    (("parcel.owner", "parcel.ower"), "has no column 'ower', which the template uses; its columns are"),
    (("zone.QXDM,", "zone.code,"), "has no column 'code', which the template uses; its columns are QXDM, QXMC"),
    (("width: 20", "widht: 20"), "unknown key 'widht' in fields[4]; the nearest is 'width'"),
    (("旱地: ", "水浇地: "), "'codes' has no entry for '旱地' of parcel.class; its entries are 水浇地, 水田; add one"),
    (("width: 20", "width: 1"), "field '权利人': '张三' has 2 characters; the width is 1"),
    (("number(8)", "'1'"), "field 'BSM' is unique, but 4 records have '1501011'"),
    (
        ("source: parcel.owner", "source: parcel.owner, required: true"),
        "'权利人' is required, but parcel.owner is missing",
    ),
    (
        ("name: SJNF, type: integer, width: 4", "name: SJNF, type: integer, width: 2"),
        "2026 has too many digits; the width",
    ),
    (("crs: EPSG:4527", "crs: EPSG:1"), "crs is EPSG:1, which PROJ does not know"),
    (("source: parcel.day", "source: parcel.owner"), "field 'RQ': parcel.owner has a value that is not of type date"),
]


@pytest.mark.parametrize(("replaced", "message"), MISTAKES, ids=[message[:30] for _, message in MISTAKES])
def test_a_mistake_is_refused_in_one_line_and_leaves_no_file(
    inputs: Path, replaced: tuple[str, str], message: str
) -> None:
    assert replaced[0] in template_text("gdb")
    (inputs / "template.yaml").write_text(template_text("gdb").replace(*replaced), encoding="utf-8")
    before = names_in(inputs)
    assert_mistake(deliver(inputs), message)
    assert names_in(inputs) == before


def test_overlapping_zones_are_refused(inputs: Path) -> None:
    zones = geopandas.GeoDataFrame(
        {"QXDM": CODES, "QXMC": NAMES}, geometry=placed([ZONES[0], shapely.box(120, -50, 400, 300)]), crs=EPSG
    )
    zones.to_file(inputs / "counties.gpkg")
    write_template(inputs, template_text("gdb"))
    assert_mistake(
        deliver(inputs), "the zones of DLTB150101 and DLTB150102 overlap by 3,50", "correct their common line"
    )
    assert not (inputs / "delivery").exists()


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        (("source: parcel.owner", "source: \"parcel.owner + '☃'\""), "has the character '☃', which GBK cannot write"),
        (("name: 权利人", "name: 权利人姓名"), None),
        (("name: 权利人", "name: ꀀ"), "the name 'ꀀ' has the character 'ꀀ', which GBK cannot write"),
        (("name: 权利人", "name: 权利人的姓名"), "field '权利人的姓名': its name is too long for a shapefile in gbk"),
    ],
)
def test_text_and_names_must_fit_a_shapefile_in_gbk(
    inputs: Path, replaced: tuple[str, str], message: str | None
) -> None:
    (inputs / "template.yaml").write_text(template_text("shp").replace(*replaced), encoding="utf-8")
    ran = deliver(inputs)
    if message is None:
        assert ran.status == 0
        return
    assert_mistake(ran, message)
    assert ".unfinished" not in ran.err
    assert not (inputs / "delivery").exists()


def test_an_output_with_files_or_in_a_read_only_folder_is_refused(
    inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_template(inputs, template_text("gdb"))
    (inputs / "delivery").mkdir()
    assert deliver(inputs).status == 0
    assert_mistake(deliver(inputs), "delivery: has files; a delivery needs a new or empty folder")
    (inputs / "delivery").rename(inputs / "earlier")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # Permissions do not stop root.
    assert_mistake(deliver(inputs), "is read-only; change its permissions or name another output")
    assert not (inputs / "delivery").exists()


def test_an_invalid_parcel_is_refused(inputs: Path) -> None:
    frame = geopandas.read_file(inputs / "parcels.gpkg")
    bow = shapely.Polygon([(0, 0), (60, 60), (60, 0), (0, 60)])
    frame.geometry = [*frame.geometry[:5], placed([bow])[0]]
    frame.to_file(inputs / "parcels.gpkg", mode="w")
    write_template(inputs, template_text("gdb"))
    assert_mistake(deliver(inputs), "parcels.gpkg: a parcel is invalid: Self-intersection", "ogr2ogr -makevalid")
    assert not (inputs / "delivery").exists()
