from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from support.commands import Ran, assert_mistake, run_command
from support.scenes import write_scene


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    folder = tmp_path / "scenes"
    folder.mkdir()
    write_scene(folder / "a.tif", 128, 192)
    return folder


@pytest.fixture
def suggest(model: Path, scenes: Path, tmp_path: Path) -> Callable[..., Ran]:
    """`suggest(**options)`: suggest squares of 320 m in scenes of 1280 x 1920 m."""

    def run(**options: object) -> Ran:
        given = {
            "model": model,
            "input": scenes,
            "output": tmp_path / "squares.gpkg",
            "size-m": 320,
            "spacing-m": 0,
            "count": 6,
        }
        return run_command("prepare suggest", *(f"--{name}={value}" for name, value in (given | options).items()))

    return run


def read(path: Path) -> geopandas.GeoDataFrame:
    return geopandas.read_file(path)


def test_squares_come_with_reason_and_pictures(suggest: Callable[..., Ran], tmp_path: Path) -> None:
    ran = suggest()
    assert (ran.status, ran.err) == (0, "")
    assert "6 squares of 24 candidates" in ran.out
    squares = read(tmp_path / "squares.gpkg")
    assert squares["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert squares.crs == "EPSG:32632"
    np.testing.assert_allclose(squares.area, 320.0**2, rtol=1e-3)
    assert squares["reason"].str.contains("less certain than").all()
    assert (tmp_path / "squares.png").stat().st_size > 1000
    first = (tmp_path / "squares.png").read_bytes()
    suggest()
    assert (tmp_path / "squares.png").read_bytes() == first


def test_labelled_ground_is_left_out(
    suggest: Callable[..., Ran], write_raster: Callable[..., Path], tmp_path: Path
) -> None:
    suggest(output=tmp_path / "first.gpkg")
    again = suggest(labelled=tmp_path / "first.gpkg")
    assert "6 left out as labelled" in again.out
    before, after = read(tmp_path / "first.gpkg"), read(tmp_path / "squares.gpkg")
    assert shapely.union_all(before.geometry).intersection(shapely.union_all(after.geometry)).area < 320.0**2 / 50


def test_pixels_at_255_of_a_mask_count_as_unlabelled(
    suggest: Callable[..., Ran], write_raster: Callable[..., Path], tmp_path: Path
) -> None:
    from rasterio.transform import from_origin

    mask = np.full((128, 192), 255, dtype=np.uint8)
    mask[:32, :64] = 1  # two squares
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_400_000, 10, 10)}
    write_raster(tmp_path / "data" / "masks" / "a.tif", mask, nodata=255, **place)
    assert "2 left out as labelled" in suggest(labelled=tmp_path / "data").out


def test_zones_get_their_quota(suggest: Callable[..., Ran], tmp_path: Path) -> None:
    west, east = (
        shapely.box(500_000, 5_398_720, 500_640, 5_400_000),
        shapely.box(500_640, 5_398_720, 501_920, 5_400_000),
    )
    zones = geopandas.GeoDataFrame({"name": ["west", "east"]}, geometry=[west, east], crs="EPSG:32632")
    zones.to_file(tmp_path / "zones.gpkg")
    suggest(zones=tmp_path / "zones.gpkg", **{"zone-column": "name"})
    assert sorted(read(tmp_path / "squares.gpkg")["zone"]) == ["east"] * 4 + ["west"] * 2


def test_squares_like_an_example_come_first(suggest: Callable[..., Ran], tmp_path: Path) -> None:
    point = shapely.Point(500_480, 5_399_520)  # in the square at row 1, column 1
    geopandas.GeoDataFrame(geometry=[point], crs="EPSG:32632").to_crs("EPSG:4326").to_file(tmp_path / "like.geojson")
    suggest(like=tmp_path / "like.geojson")
    squares = read(tmp_path / "squares.gpkg")
    assert squares.geometry[0].contains(point)
    assert squares["score"].is_monotonic_decreasing
    assert squares["reason"].str.contains("similarity").all()


def test_distance_between_squares_leaves_fewer(suggest: Callable[..., Ran], tmp_path: Path) -> None:
    ran = suggest(**{"spacing-m": 700})
    assert "fewer than 6" in ran.err
    centres = read(tmp_path / "squares.gpkg").centroid
    distances = [a.distance(b) for i, a in enumerate(centres) for b in centres[:i]]
    assert min(distances) >= 699


def test_suggested_squares_are_refused_as_a_sample_for_areas(suggest: Callable[..., Ran], tmp_path: Path) -> None:
    suggest()
    squares = tmp_path / "squares.gpkg"
    ran = run_command("evaluate area", "--points", squares, "--output", tmp_path / "report")
    assert_mistake(ran, "squares.gpkg", "bias an estimate", "evaluate.py sample")
    as_points = read(squares).assign(id=[1, 2, 3, 4, 5, 6], reference="1")
    as_points.drop(columns="geometry").to_csv(tmp_path / "points.csv", index=False)
    ran = run_command("evaluate area", "--points", tmp_path / "points.csv", "--output", tmp_path / "report")
    assert_mistake(ran, "points.csv", "bias an estimate")


def test_mistakes_are_reported_in_one_line(
    suggest: Callable[..., Ran], write_raster: Callable[..., Path], tmp_path: Path
) -> None:
    nowhere = write_raster(tmp_path / "nowhere.tif", np.full((3, 40, 40), 2000, dtype=np.uint16), crs=None)
    elsewhere = tmp_path / "elsewhere.geojson"
    geopandas.GeoDataFrame(geometry=[shapely.Point(0, 0)], crs="EPSG:4326").to_file(elsewhere)
    assert_mistake(suggest(input=nowhere), "nowhere.tif", "has no CRS")
    assert_mistake(suggest(like=elsewhere), "elsewhere.geojson", "no example is in a scene")
    assert_mistake(suggest(labelled=tmp_path / "none.gpkg"), "none.gpkg", "no such file")
    assert_mistake(suggest(zones=elsewhere, **{"zone-column": "x"}), "elsewhere.geojson", "no column 'x'")
    assert_mistake(suggest(output=tmp_path / "squares.shp"), ".gpkg")
    assert_mistake(suggest(count=0), "--count is 0")
    assert_mistake(suggest(**{"zone-column": "x"}), "--zone-column is x")
