"""`scripts/evaluate.py change`: gained and lost cropland between two maps."""

import json
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.features import rasterize

from seg.evaluation.change import maps
from seg.labels import IGNORE
from support.commands import Ran, assert_mistake
from support.interpreted_points import evaluate

Run = Callable[..., Ran]
WriteRaster = Callable[..., Path]

HEIGHT, WIDTH = 70, 90
HECTARES = 0.01 / 0.9996**2
"""Ground area of a pixel of 10 m near the central meridian of a UTM zone."""


@pytest.fixture
def run(write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the subcommand on two maps: a field of 200 pixels is lost; a field of 300 pixels and one pixel are gained."""
    monkeypatch.chdir(tmp_path)
    before, after = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    before[5:45, 5:45] = after[5:45, 5:45] = 1
    after[5:15, 5:25] = 0
    after[50:65, 60:80] = after[2, 88] = 1
    after[-1] = IGNORE
    write_raster(Path("before.tif"), before, nodata=IGNORE)
    write_raster(Path("after.tif"), after, nodata=IGNORE)

    def change(**options: object) -> Ran:
        return evaluate("change", **({"before": "before.tif", "after": "after.tif", "output": "out"} | options))

    return change


@pytest.fixture
def probabilities(run: Run, write_raster: WriteRaster) -> None:
    """Write probability maps: the loss is likely; half of the gained field and the gained pixel are doubtful."""
    before, after = np.full((2, HEIGHT, WIDTH), 10, np.uint8)
    before[5:45, 5:45] = after[5:45, 5:45] = 90
    after[5:15, 5:25] = 5
    after[50:65, 60:70], after[50:65, 70:80] = 60, 52
    before[50:65, 60:80] = 20
    after[2, 88], before[2, 88] = 51, 49
    write_raster(Path("before_probability.tif"), before, nodata=IGNORE)
    write_raster(Path("after_probability.tif"), after, nodata=IGNORE)


def read(path: str) -> np.ndarray:
    with rasterio.open(path) as dataset:
        pixels: np.ndarray = dataset.read(1)
    return pixels


def test_change_is_mapped_and_measured_on_the_ground(run: Run) -> None:
    status, out, err = run()
    assert (status, err) == (0, "")
    content = json.loads(Path("out/change.json").read_text())
    assert content["pixels"] == {
        "stable_other": 69 * 90 - 1600 - 301,
        "stable_cropland": 1400,
        "gained_cropland": 301,
        "lost_cropland": 200,
    }
    assert content["area_ha"]["lost_cropland"] == pytest.approx(200 * HECTARES, rel=1e-6)
    assert content["net_change_ha"] == pytest.approx(101 * HECTARES, rel=1e-6)
    assert content["unsupported_ha"] is None
    assert "net change of cropland: +1.01 ha" in out
    assert "without probability maps" in out
    pixels = read("out/change.tif")
    assert np.bincount(pixels.ravel(), minlength=256)[[0, 1, 2, 3, IGNORE]].tolist() == [
        *content["pixels"].values(),
        90,
    ]
    with rasterio.open("out/change.tif") as dataset:
        assert dataset.nodata == IGNORE
        assert dataset.colormap(1)[2] == (0, 68, 136, 255)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert not Path("out/change_probability.tif").exists()


def test_polygons_hold_the_changed_pixels_and_nothing_else(run: Run) -> None:
    run()
    found = geopandas.read_file("out/change.gpkg")
    assert list(found.columns) == ["id", "rank", "change", "area", "perimeter", "lon", "lat", "geometry"]
    assert sorted(zip(found["change"], found["area"].round(3), strict=True)) == [
        ("gained", 0.01),
        ("gained", 3.002),
        ("lost", 2.002),
    ]
    with rasterio.open("out/change.tif") as dataset:
        codes = found["change"].map({"gained": 2, "lost": 3})
        burnt = rasterize(zip(found.geometry, codes, strict=True), dataset.shape, transform=dataset.transform)
    pixels = read("out/change.tif")
    np.testing.assert_array_equal(burnt, np.where(pixels == IGNORE, 0, np.where(pixels > 1, pixels, 0)))


@pytest.mark.parametrize(("size", "left"), [("0.1ha", 2), ("32mu", 1), ("30000m2", 1), ("40亩", 1), ("1000 ha", 0)])
def test_small_polygons_are_left_out(run: Run, size: str, left: int) -> None:
    assert run(min_area=size)[0] == 0
    assert len(geopandas.read_file("out/change.gpkg")) == left
    assert json.loads(Path("out/change.json").read_text())["pixels"]["gained_cropland"] == 301


@pytest.mark.usefixtures("probabilities")
def test_doubtful_changes_are_flagged(run: Run) -> None:
    status, out, err = run(confidence=0.45)
    assert (status, err) == (0, "")
    assert "independent errors" in out
    content = json.loads(Path("out/change.json").read_text())
    # Gained: 0.8 * 0.6 = 48 % on 150 pixels, 0.8 * 0.52 = 42 % on 150, 0.51 * 0.51 = 26 % on one; lost: 86 %.
    assert content["unsupported_ha"]["gained_cropland"] == pytest.approx(151 * HECTARES, rel=1e-6)
    assert content["unsupported_ha"]["lost_cropland"] == 0
    percent = read("out/change_probability.tif")
    values, counts = np.unique(percent, return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {
        26: 1,
        42: 150,
        48: 150,
        86: 200,
        IGNORE: HEIGHT * WIDTH - 501,
    }
    found = geopandas.read_file("out/change.gpkg").sort_values("area").reset_index()
    assert found["mean_probability"].tolist() == pytest.approx([0.26, 0.86, 0.45])
    assert found["unsupported_share"].tolist() == pytest.approx([1, 0, 0.5])
    assert found["supported"].tolist() == [False, True, False]
    assert content["polygons"]["gained"]["unsupported"] == 2
    assert {name["path"] for name in content["maps"].values()} == {
        "before.tif",
        "after.tif",
        "before_probability.tif",
        "after_probability.tif",
    }


@pytest.mark.usefixtures("probabilities")
def test_change_without_a_known_probability_is_unsupported(run: Run, write_raster: WriteRaster) -> None:
    write_raster(Path("nothing.tif"), np.full((HEIGHT, WIDTH), IGNORE, np.uint8), nodata=IGNORE)
    assert run(before_probability="nothing.tif")[0] == 0
    content = json.loads(Path("out/change.json").read_text())
    assert content["unsupported_ha"]["lost_cropland"] == pytest.approx(200 * HECTARES, rel=1e-6)
    assert not geopandas.read_file("out/change.gpkg")["supported"].any()


@pytest.mark.usefixtures("probabilities")
def test_probabilities_of_an_earlier_run_do_not_stay(run: Run) -> None:
    run()
    Path("after_probability.tif").unlink()
    status, out, _ = run()
    assert status == 0
    assert "without probability maps" in out
    assert not Path("out/change_probability.tif").exists()
    assert "supported" not in geopandas.read_file("out/change.gpkg").columns


def test_patches_are_ordered_by_area_without_probabilities(run: Run) -> None:
    run()
    found = geopandas.read_file("out/change.gpkg")
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["area"].is_monotonic_decreasing
    inside = geopandas.GeoSeries.from_xy(found["lon"], found["lat"], crs="EPSG:4326").to_crs(found.crs)
    assert found.contains(inside).all()


@pytest.mark.usefixtures("probabilities")
def test_patches_are_ordered_by_probability_times_area(run: Run) -> None:
    run()
    found = geopandas.read_file("out/change.gpkg")
    # A certain loss of 200 pixels comes before a doubtful gain of 300: 0.86 * 200 > 0.45 * 300.
    assert found["change"].tolist() == ["lost", "gained", "gained"]
    assert found["expected_area"].tolist() == pytest.approx((found["mean_probability"] * found["area"]).tolist())
    assert found["expected_area"].is_monotonic_decreasing
    page = Path("out/sheet.html").read_text(encoding="utf-8")
    places = [page.index(f'<li id="{name}">') for name in found["id"]]
    assert places == sorted(places)


def test_the_sheet_has_places_and_pictures_of_both_dates(run: Run, write_raster: WriteRaster) -> None:
    image = np.random.default_rng(0).integers(100, 900, (3, HEIGHT, WIDTH)).astype(np.uint16)
    write_raster(Path("scene.tif"), image)
    assert run(after_image="scene.tif", sheet=2, lang="zh")[0] == 0
    page, found = Path("out/sheet.html").read_text(encoding="utf-8"), geopandas.read_file("out/change.gpkg")
    assert '<html lang="zh-Hans">' in page
    assert page.count("<li id=") == 2
    assert (page.count("data:image/png"), page.count("data:image/webp")) == (4, 2)
    assert f'href="geo:{found["lat"][0]:.6f},{found["lon"][0]:.6f}"' in page


def test_a_run_without_a_sheet_removes_the_sheet_of_an_earlier_run(run: Run) -> None:
    run()
    out = run(sheet=0)[1]
    assert "sheet.html" not in out
    assert not Path("out/sheet.html").exists()


def test_size_of_windows_does_not_change_the_map_and_the_areas(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    first = read("out/change.tif"), json.loads(Path("out/change.json").read_text())
    monkeypatch.setattr(maps, "WINDOW_SIZE", 32)
    run(output="again")
    content = json.loads(Path("again/change.json").read_text())
    np.testing.assert_array_equal(read("again/change.tif"), first[0])
    assert content["pixels"] == first[1]["pixels"]
    assert content["area_ha"] == pytest.approx(first[1]["area_ha"], rel=1e-9)


def test_no_change_is_an_empty_layer(run: Run) -> None:
    status, _, err = run(after="before.tif")
    assert (status, err) == (0, "")
    assert len(geopandas.read_file("out/change.gpkg")) == 0
    assert json.loads(Path("out/change.json").read_text())["net_change_ha"] == 0


def test_change_map_can_be_sampled_for_areas_with_errors(run: Run) -> None:
    run(after="before.tif")
    assert "3 (lost cropland)" in evaluate("sample", prediction="out/change.tif", output="none.gpkg", points=300)[1]
    run()
    status, out, err = evaluate("sample", prediction="out/change.tif", output="points.gpkg", points=300, minimum=40)
    assert (status, err) == (0, "")
    assert "lost cropland" in out
    points = geopandas.read_file("points.gpkg", layer="points")
    points["reference"] = read("out/change.tif")[points["row"], points["column"]].astype(str)
    points.drop(columns="geometry").to_csv("points.csv", index=False)
    status, out, _ = evaluate("area", points="points.csv", output="report")
    assert status == 0
    classes = {one["name"]: one for one in json.loads(Path("report/area.json").read_text())["classes"]}
    assert classes["lost cropland"]["area_ha"]["value"] == pytest.approx(200 * HECTARES, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"after": "small.tif"}, "before.tif: size is 90x70, but small.tif has 20x20"),
        ({"before": "moved.tif"}, "moved.tif: lies up to 0.5 pixels off after.tif"),
        ({"before": "nowhere.tif"}, "nowhere.tif: no such file"),
        ({"before": "classes.tif"}, "classes.tif: holds the values 7"),
        ({"before": "unplaced.tif", "after": "unplaced.tif"}, "has no CRS"),
        ({"before_probability": "before.tif"}, "after.tif: has no probability map beside it"),
        ({"before_probability": "classes.tif", "after_probability": "big.tif"}, "big.tif: holds 200, wanted prob"),
        ({"min_area": "1"}, "--min-area is '1'"),
        ({"confidence": 1}, "confidence is 1"),
        ({"sheet": -1}, "--sheet is -1"),
        ({"after_image": "small.tif"}, "small.tif"),
        ({"output": "nowhere/out"}, "its parent folder"),
        ({"before": "change.tif", "output": "."}, "change.tif: is one of the inputs and would be overwritten"),
    ],
)
def test_mistakes_are_reported_in_one_line_with_status_2(
    run: Run, write_raster: WriteRaster, options: dict[str, object], wanted: str
) -> None:
    empty = np.zeros((HEIGHT, WIDTH), np.uint8)
    write_raster(Path("small.tif"), empty[:20, :20])
    write_raster(Path("moved.tif"), empty, transform=Affine(10, 0, 500_005, 0, -10, 5_000_000))
    write_raster(Path("classes.tif"), empty + 7)
    write_raster(Path("change.tif"), empty)
    with rasterio.open("change.tif", "r+") as ours:
        ours.update_tags(SOFTWARE="cropland-seg")
    write_raster(Path("big.tif"), empty + 200)
    write_raster(Path("unplaced.tif"), empty, crs=None, transform=Affine.identity())
    assert_mistake(run(**options), wanted)
