"""`scripts/evaluate.py zones`: area, parcels, estimate and accuracy of each zone."""

import csv
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import openpyxl
import pytest
import rasterio
import shapely

from evaluation.zones.conftest import HEIGHT, NAMES, WIDTH, box, counties
from seg.evaluation.report.page.text import read_words
from seg.evaluation.zones import tally
from seg.evaluation.zones.rows import OUTSIDE, WHOLE
from seg.labels import IGNORE
from support.commands import Ran, assert_mistake
from support.interpreted_points import evaluate, interpret

WriteRaster = Callable[..., Path]

HECTARES = 0.01 / 0.9996**2
"""Ground area of a pixel of 10 m near the central meridian of a UTM zone."""

ZONE = np.where(np.arange(HEIGHT)[:, None] < 51, 0, 2) + (np.arange(WIDTH) >= 70)
"""Index of the county that holds the centre of each pixel. The border at row 50.6 lies below the centres of row 50, at
50.5; the border at column 70.3 lies left of the centres of column 70, at 70.5."""


def zones(**options: object) -> Ran:
    return evaluate("zones", **({"prediction": "map.tif", "zones": "counties.gpkg", "output": "table"} | options))


def pixels(path: str) -> np.ndarray:
    with rasterio.open(path) as dataset:
        found: np.ndarray = dataset.read(1)
    return found


def rows(folder: str = "table") -> dict[str, dict[str, Any]]:
    found = json.loads(Path(folder, "zones.json").read_text(encoding="utf-8"))["rows"]
    return {row["zone"]: row for row in found}


@pytest.mark.usefixtures("place")
def test_each_pixel_counts_in_the_zone_that_holds_its_centre() -> None:
    ran = zones()
    assert (ran.status, ran.err) == (0, "")
    mapped, found = pixels("map.tif"), rows()
    assert list(found) == [*NAMES, WHOLE]
    for number, name in enumerate(NAMES):
        inside = mapped[number == ZONE]
        assert found[name]["pixels"] == np.count_nonzero(inside != IGNORE)
        assert found[name]["cropland_ha"] == pytest.approx(np.count_nonzero(inside == 1) * HECTARES, abs=1e-4)
        assert found[name]["cropland_mu"] == pytest.approx(15 * found[name]["cropland_ha"], abs=2e-3)
    assert found[NAMES[0]]["unmapped_ha"] == pytest.approx(36 * HECTARES, abs=1e-4)


@pytest.mark.usefixtures("place")
def test_columns_add_up_to_the_whole_map_exactly() -> None:
    counties().iloc[[0, 1, 3]].to_file("three.gpkg")
    assert zones(zones="three.gpkg").status == 0
    with Path("table/zones.csv").open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert [row["zone"] for row in found] == [NAMES[0], NAMES[1], NAMES[3], OUTSIDE, WHOLE]
    for column in ("cropland_ha", "cropland_mu", "mapped_ha", "unmapped_ha", "pixels", "parcels"):
        values = [Decimal(row[column]) for row in found]
        assert sum(values[:-1]) == values[-1], column
    assert int(found[-1]["pixels"]) == HEIGHT * WIDTH - 36
    assert float(found[-1]["mapped_ha"]) == pytest.approx((HEIGHT * WIDTH - 36) * HECTARES, rel=1e-6)


@pytest.mark.usefixtures("place")
def test_size_of_windows_does_not_change_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    zones(reference="reference.tif")
    monkeypatch.setattr(tally, "WINDOW_SIZE", 32)
    zones(reference="reference.tif", output="again")
    assert Path("again/zones.csv").read_bytes() == Path("table/zones.csv").read_bytes()


@pytest.mark.usefixtures("place")
def test_zones_in_degrees_count_the_same_pixels() -> None:
    counties().to_crs("EPSG:4490").to_file("degrees.geojson", driver="GeoJSON")
    zones()
    zones(zones="degrees.geojson", output="again")
    assert [row["pixels"] for row in rows("again").values()] == [row["pixels"] for row in rows().values()]


@pytest.mark.usefixtures("place")
def test_a_zone_cut_by_the_edge_of_the_map_gets_a_caution() -> None:
    out = zones().out
    found = rows()
    assert [found[name]["cut"] for name in NAMES] == [False, False, True, True]
    assert found["=南县"]["cautions"] == [
        {"key": "cut", "values": {"share": pytest.approx(70 * 69 / 70.3 / 109.4, rel=1e-5)}}
    ]
    assert found["=南县"]["zone_ha"] == pytest.approx(70.3 * 109.4 * HECTARES, rel=1e-5)
    assert "=南县: reaches beyond the map, which covers 62.8" in out
    assert "cut by the map’s edge" in Path("table/index.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("place")
def test_a_zone_with_a_part_beyond_the_map_is_cut() -> None:
    both = shapely.MultiPolygon([box(10, 10, 20, 20), box(400, 10, 500, 20)])
    frame = geopandas.GeoDataFrame({"name": ["a", "b"]}, geometry=[both, box(900, 0, 990, 9)], crs="EPSG:32633")
    frame.to_file("parts.gpkg")
    zones(zones="parts.gpkg")
    assert rows()["a"]["cut"] is True
    assert "b" not in rows()
    assert json.loads(Path("table/zones.json").read_text())["zones"]["beyond"] == 1


@pytest.mark.usefixtures("place")
def test_accuracies_follow_from_the_pixels_of_the_zone() -> None:
    zones(reference="reference.tif")
    mapped, truth, found = pixels("map.tif"), pixels("reference.tif"), rows()
    for number, name in [*enumerate(NAMES), (None, WHOLE)]:
        known = (mapped != IGNORE) & (True if number is None else number == ZONE)
        here, wanted = mapped[known] == 1, truth[known] == 1
        both = np.count_nonzero(here & wanted)
        assert found[name]["lr"] == pytest.approx(1 - both / np.count_nonzero(wanted))
        assert found[name]["cr"] == pytest.approx(1 - both / np.count_nonzero(here))
        assert found[name]["iou"] == pytest.approx(both / np.count_nonzero(here | wanted))
        ratio = np.count_nonzero(here) / np.count_nonzero(wanted)
        assert found[name]["ma"] == pytest.approx(1 - abs(1 - ratio), abs=1e-6)


@pytest.mark.usefixtures("place")
def test_estimates_of_zones_come_from_their_points() -> None:
    evaluate("sample", prediction="map.tif", output="points.gpkg", points=300)
    points = interpret(Path("points.gpkg"), pixels("reference.tif"))
    assert zones(points="points.gpkg", min_points=60).status == 0
    found, mapped = rows(), pixels("map.tif")
    zone = ZONE[points["row"], points["column"]]
    label = mapped[points["row"], points["column"]]
    reference = points["reference"].astype(int).to_numpy()
    for number, name in enumerate(NAMES):
        expected = 0.0
        for stratum in (0, 1):
            of = (zone == number) & (label == stratum)
            expected += np.count_nonzero((number == ZONE) & (mapped == stratum)) * HECTARES * reference[of].mean()
        assert found[name]["points"] == np.count_nonzero(zone == number)
        assert found[name]["estimated_ha"] == pytest.approx(expected, rel=1e-5)
        assert found[name]["low_ha"] < expected < found[name]["high_ha"]
        assert "few_points" in {caution["key"] for caution in found[name]["cautions"]}
    assert found[WHOLE]["points"] == 300


@pytest.mark.usefixtures("place")
def test_a_zone_with_one_point_in_a_stratum_is_not_estimated() -> None:
    evaluate("sample", prediction="map.tif", output="points.gpkg", points=60)
    points = interpret(Path("points.gpkg"), pixels("reference.tif"))
    row, column = points[["row", "column"]].to_numpy()[0].tolist()
    small = box(column - 1, row - 1, column + 2, row + 2)
    both = [small, counties().union_all().difference(small)]
    geopandas.GeoDataFrame({"name": ["small", "rest"]}, geometry=both, crs="EPSG:32633").to_file("two.gpkg")
    zones(zones="two.gpkg", points="points.gpkg")
    found = rows()["small"]
    assert found["estimated_ha"] is None
    assert "no_estimate" in {caution["key"] for caution in found["cautions"]}


@pytest.mark.usefixtures("place")
def test_points_drawn_within_other_zones_give_an_estimate_for_every_zone(write_raster: WriteRaster) -> None:
    write_raster("halves.tif", (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % WIDTH > 100).astype(np.uint8))
    evaluate("sample", prediction="map.tif", zones="halves.tif", output="points.gpkg", points=400, minimum=60)
    interpret(Path("points.gpkg"), pixels("reference.tif"))
    assert zones(points="points.gpkg").status == 0
    assert all(row["estimated_ha"] is not None for row in rows().values())


@pytest.mark.usefixtures("place")
def test_workbook_and_page_can_be_in_chinese() -> None:
    assert zones(lang="zh", reference="reference.tif").status == 0
    words = read_words("zh")
    sheet = openpyxl.load_workbook("table/zones.xlsx").active
    table = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert table[0][:3] == [words[f"zones.{key}"] for key in ("zone", "col.cropland_ha", "col.cropland_mu")]
    assert [row[0] for row in table[1:]] == [*NAMES, "全图"]
    assert sheet["A4"].data_type == "s"
    assert sum(row[1] for row in table[1:-1]) == pytest.approx(table[-1][1], abs=1e-9)
    page = Path("table/index.html").read_text(encoding="utf-8")
    assert '<html lang="zh-Hans">' in page
    assert "分区耕地面积统计" in page
    assert "<text" in page
    assert "north, far" in Path("table/chart.svg").read_text(encoding="utf-8")


@pytest.mark.usefixtures("place")
def test_a_table_that_a_user_changed_is_not_replaced() -> None:
    assert zones().status == 0
    assert zones().status == 0
    with Path("table/zones.csv").open("a", encoding="utf-8") as file:
        file.write("checked by hand\n")
    assert_mistake(zones(), "table/zones.csv: was not written by this command, or has been changed")


@pytest.mark.usefixtures("place")
def test_repeated_tables_have_equal_bytes_and_files_of_a_killed_run_are_replaced() -> None:
    zones()
    first = {path.name: path.read_bytes() for path in Path("table").iterdir()}
    zones()
    assert {path.name: path.read_bytes() for path in Path("table").iterdir()} == first
    zones(min_parcel=9)
    Path("table/zones.csv").write_bytes(first["zones.csv"])  # a killed run may leave a file of the table before it
    assert zones(min_parcel=9).status == 0


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"zones": "overlap.gpkg"}, ("zones 'a' and 'b' overlap on about 200 pixels", "Difference")),
        ({"zones": "nested.gpkg"}, ("zones 'a' and 'b' overlap on about 100 pixels",)),
        ({"zones": "twins.gpkg"}, ("zones 'a' and 'b' overlap",)),
        ({"zones": "far.gpkg"}, ("far.gpkg: none of its zones lies on map.tif",)),
        ({"zones": "points.gpkg"}, ("points.gpkg: 1 of 1 features are Points; wanted polygons",)),
        ({"zones": "nowhere.gpkg"}, ("nowhere.gpkg: no such file",)),
        ({"zone_attribute": "county"}, ("has no column 'county'; wanted one of 'code', 'name'",)),
        ({"zones": "unnamed.gpkg", "zone_attribute": "name"}, ("1 of 2 features have no value in the column 'name'",)),
        ({"zones": "unnamed.gpkg"}, ("has no text column whose values are all present and different",)),
        ({"reference": "small.tif"}, ("small.tif",)),
        ({"prediction": "reference.tif", "points": "drawn.gpkg"}, ("drawn.gpkg: was drawn from map.tif",)),
        ({"design": "drawn.design.json"}, ("needs --points",)),
        ({"min_parcel": 0}, ("--min-parcel is 0",)),
        ({"output": "nowhere/table"}, ("its parent folder",)),
    ],
)
@pytest.mark.usefixtures("place")
def test_mistakes_are_reported_in_one_line(
    write_raster: WriteRaster, options: dict[str, object], wanted: tuple[str, ...]
) -> None:
    layers = {
        "overlap": [box(0, 0, 80, 100), box(78, 0, 150, 100)],
        "nested": [box(0, 0, 150, 120), box(20, 20, 30, 30)],
        "twins": [box(0, 0, 50, 50), box(0, 0, 50, 50)],
        "far": [box(900, 0, 990, 9), box(990, 0, 999, 9)],
        "unnamed": [box(0, 0, 50, 50), box(50, 0, 90, 50)],
        "points": [shapely.Point(500_100, 4_999_900)],
    }
    kind = str(options.get("zones", "")).removesuffix(".gpkg")
    if kind in layers:
        names = ["a", None if kind == "unnamed" else "b"][: len(layers[kind])]
        geopandas.GeoDataFrame({"name": names}, geometry=layers[kind], crs="EPSG:32633").to_file(f"{kind}.gpkg")
    if "small.tif" in options.values():
        write_raster("small.tif", np.zeros((9, 9), np.uint8))
    if "points" in options:
        evaluate("sample", prediction="map.tif", output="drawn.gpkg", points=20, minimum=2)
        interpret(Path("drawn.gpkg"), pixels("reference.tif"))
    assert_mistake(zones(**options), *wanted)
    assert not Path("table").exists()


@pytest.mark.usefixtures("place")
def test_thin_overlaps_of_borders_digitised_twice_are_accepted() -> None:
    both = [box(0, 0, 70.5, 90), box(70.2, 0, 150, 90)]
    geopandas.GeoDataFrame({"name": ["a", "b"]}, geometry=both, crs="EPSG:32633").to_file("thin.gpkg")
    assert zones(zones="thin.gpkg").status == 0
    assert sum(rows()[name]["pixels"] for name in "ab") == 90 * WIDTH - 36
