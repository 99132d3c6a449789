import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import shapely
from shapely import box

from seg.delivery.checking.check import check
from seg.delivery.checking.faults import Fault, report_text
from seg.delivery.template_reading import read_template
from support import deliveries
from support.commands import run_command
from support.deliveries import change_layer, placed, template_text, write_inputs, write_template

EAST_LAYER, WEST_LAYER = "DLTB150101", "DLTB150102"
GDB = "out_2026/DLTB.gdb"


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with inputs, template and a correct delivery as File Geodatabase."""
    folder = tmp_path_factory.mktemp("right")
    write_inputs(folder)
    write_template(folder, template_text("gdb"))
    assert deliveries.deliver(folder).status == 0
    return folder


def faults_of(right: Path, delivery: Path) -> list[Fault]:
    return check(read_template(right / "template.yaml"), delivery, right / "counties.gpkg").faults


def set_value(name: str, place: int, value: object) -> deliveries.Change:
    """Change that sets one value of a field."""

    def change(table: pa.Table, polygons: np.ndarray) -> tuple[pa.Table, np.ndarray]:
        values = table.column(name).to_pylist()
        values[place] = value
        number = table.column_names.index(name)
        return table.set_column(
            number, table.schema.field(name), pa.array(values, table.schema.field(name).type)
        ), polygons

    return change


def set_polygon(place: int, polygon: shapely.Polygon) -> deliveries.Change:
    """Change that moves one polygon."""

    def change(table: pa.Table, polygons: np.ndarray) -> tuple[pa.Table, np.ndarray]:
        changed = polygons.copy()
        changed[place] = placed([polygon])[0]
        return table, changed

    return change


def widened(table: pa.Table, polygons: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    field = table.schema.field("BSM")
    wider = field.with_metadata(field.metadata | {b"GDAL:OGR:width": b"20"})
    return table.cast(table.schema.set(0, wider)), polygons


PLANTED = [
    ("wrong width", widened, "field BSM has the width 20; wanted 18"),
    ("missing field", lambda table, polygons: (table.drop_columns(["QXDM"]), polygons), "has no field QXDM"),
    (
        "extra field",
        lambda table, polygons: (table.append_column("BZ", pa.array(["x"] * len(polygons))), polygons),
        "has the field BZ, which the template does not have",
    ),
    ("overlap", set_polygon(2, box(40, 60, 100, 120)), r"overlaps record 3, BSM 15010100000003 by (800|799)"),
    (
        "gap at a zone line",
        set_polygon(1, box(80, 0, 129.9, 80)),
        r"a gap of about (79|80) m at the line",
    ),
    ("wrong code", set_value("DLBM", 0, "9999"), "field DLBM is 9999; wanted one of 0103, 0101"),
    ("too small", set_polygon(2, box(0, 100, 40, 140)), r"has 1,600\.\d\d m2; the least area is 2,000\.00 m2"),
    (
        "invalid polygon",
        set_polygon(2, shapely.Polygon([(0, 100), (60, 160), (60, 100), (0, 160)])),
        "Self-intersection",
    ),
    ("duplicate id", set_value("BSM", 0, "15010100000002"), "field BSM is 15010100000002 in several records"),
    ("null key", set_value("BSM", 0, None), "field BSM has no value, but is required"),
    ("wrong area", set_value("TBMJ", 0, 6400.5), r"field TBMJ is 6400\.5; its polygon has 640"),
    ("wrong value", set_value("QXDM", 0, "150102"), "field QXDM is 150102; wanted 150101"),
    ("outside its zone", set_polygon(2, box(-80, 100, -20, 160)), r"reaches beyond its zone by (1,800|1,799)"),
]


@pytest.mark.parametrize(("kind", "change", "text"), PLANTED, ids=[kind for kind, *_ in PLANTED])
def test_a_planted_fault_is_the_only_one_found(
    right: Path, tmp_path: Path, kind: str, change: deliveries.Change, text: str
) -> None:
    shutil.copytree(right / "delivery", tmp_path / "delivery")
    change_layer(tmp_path / "delivery" / GDB, EAST_LAYER, change)
    faults = faults_of(right, tmp_path / "delivery")
    assert {fault.kind for fault in faults} == {kind}, report_text(faults)
    assert {(fault.file, fault.layer) for fault in faults} == {(GDB, EAST_LAYER)}
    assert re.search(text, report_text(faults)), report_text(faults)


def test_a_wrong_crs_is_found(right: Path, tmp_path: Path) -> None:
    shutil.copytree(right / "delivery", tmp_path / "delivery")
    change_layer(tmp_path / "delivery" / GDB, WEST_LAYER, lambda *layer: layer, crs="EPSG:4548")
    faults = faults_of(right, tmp_path / "delivery")
    assert [(fault.kind, fault.layer) for fault in faults] == [("wrong CRS", WEST_LAYER)]
    assert "CM 117E; wanted EPSG:4527" in faults[0].text


@pytest.mark.parametrize(
    ("move", "kinds"),
    [
        (lambda folder: (folder / GDB).rename(folder / "out_2026" / "DLTB2.gdb"), ["missing file", "name of file"]),
        (lambda folder: (folder / GDB).rename(folder / "out_2026" / "DLTB_1.gdb"), ["name of file"]),
        (lambda folder: (folder / "readme.txt").write_text("to be read"), ["name of file"]),
        (lambda folder: shutil.copytree(folder / GDB, folder / "out_2026" / "DLTB_3.gdb"), ["name of file"]),
    ],
)
def test_a_wrong_name_of_a_file_is_found(
    right: Path, tmp_path: Path, move: Callable[[Path], object], kinds: list[str]
) -> None:
    shutil.copytree(right / "delivery", tmp_path / "delivery")
    move(tmp_path / "delivery")
    faults = faults_of(right, tmp_path / "delivery")
    assert [fault.kind for fault in faults if fault.record == ""] == kinds


def test_too_many_records_are_found(right: Path, tmp_path: Path) -> None:
    template = write_template(tmp_path, template_text("gdb").replace("records: 8", "records: 6"))
    [fault] = check(template, right / "delivery", right / "counties.gpkg").faults
    assert (fault.kind, fault.text) == ("too many records", "has 7 records; wanted at most 6")


@pytest.fixture(scope="module")
def right_gbk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with inputs, template and a correct delivery as shapefiles in GBK."""
    folder = tmp_path_factory.mktemp("right_gbk")
    write_inputs(folder)
    write_template(folder, template_text("shp"))
    assert deliveries.deliver(folder).status == 0
    return folder


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda shp: shp.with_suffix(".cpg").write_text("UTF-8"), "东县.cpg declares UTF-8; wanted GBK"),
        (lambda shp: shp.with_suffix(".cpg").unlink(), "东县.cpg declares none; wanted GBK"),
        (
            lambda shp: shp.with_suffix(".dbf").write_bytes(
                shp.with_suffix(".dbf").read_bytes().replace("张三".encode("gbk"), b"\xff\xfe  ")
            ),
            "record 0, BSM 15010100000001): wrong encoding: field 权利人 is",
        ),
    ],
)
def test_a_wrong_encoding_of_a_shapefile_is_found(
    right_gbk: Path, tmp_path: Path, damage: Callable[[Path], object], text: str
) -> None:
    shutil.copytree(right_gbk / "delivery", tmp_path / "delivery")
    damage(tmp_path / "delivery" / "out_2026" / "东县.shp")
    faults = faults_of(right_gbk, tmp_path / "delivery")
    assert len(faults) == 1
    assert text in faults[0].line()


def test_at_most_twenty_faults_of_a_kind_are_printed_and_the_report_is_csv(right: Path, tmp_path: Path) -> None:
    faults = [Fault("wrong code", "a.gdb", "x", f"record {number}", "is 7") for number in range(25)]
    assert report_text(faults).splitlines()[20:] == ["a.gdb (x): wrong code: 5 more"]
    (tmp_path / "empty").mkdir()
    ran = run_command(
        "deliver check",
        f"--template={right / 'template.yaml'}",
        f"--delivery={tmp_path / 'empty'}",
        f"--zones={right / 'counties.gpkg'}",
        f"--report={tmp_path / 'faults.csv'}",
    )
    assert ran.status == 1
    header, line = (tmp_path / "faults.csv").read_text(encoding="utf-8-sig").splitlines()
    assert (header, line) == ("kind,file,layer,record,text", f"missing file,{GDB},,,does not exist")
