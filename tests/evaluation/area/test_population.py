from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.errors import RasterError
from seg.evaluation.area.population import Population, class_names
from seg.raster.ground.pixel_areas import PixelAreas

WriteRaster = Callable[..., Path]


def test_strata_are_the_classes_with_pixels_and_areas(class_map: Path) -> None:
    other, cropland = Population(class_map).tally()
    assert [(one.name, one.label, one.zone, one.pixels) for one in (other, cropland)] == [
        ("other", 0, None, 58 * 53),
        ("cropland", 1, None, 58 * 27),
    ]
    assert cropland.area_ha == pytest.approx(58 * 27 * 0.01 / 0.9996**2, rel=1e-5)


@pytest.mark.parametrize("far", [0, 3_000_000_000], ids=["near numbers", "far numbers"])
def test_zones_divide_classes_and_pixels_without_a_zone_are_left_out(
    class_map: Path, write_raster: WriteRaster, tmp_path: Path, far: int
) -> None:
    zones = np.full((60, 80), 7, np.int64)
    zones[:, 40:] = -3 - far
    zones[:10] = -9999
    path = write_raster(tmp_path / "zones.tif", zones, nodata=-9999)
    found = [(one.name, one.pixels) for one in Population(class_map, path).tally(size=32)]
    assert found == [
        (f"other, zone {-3 - far}", 48 * 40),
        ("other, zone 7", 48 * 13),
        ("cropland, zone 7", 48 * 27),
    ]


@pytest.mark.parametrize("size", [7, 16, 33, 1024])
def test_size_of_windows_changes_no_count(write_raster: WriteRaster, tmp_path: Path, size: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 4, (50, 41)).astype(np.uint8)
    path = write_raster(tmp_path / "map.tif", pixels)
    population = Population(path)
    areas = PixelAreas(population.grid())
    found = population.tally(size)
    assert [one.pixels for one in found] == np.bincount(pixels.ravel()).tolist()
    whole = areas.window(next(iter(population.windows("", 1024)))[0])
    assert [one.area_ha for one in found] == pytest.approx(np.bincount(pixels.ravel(), whole.ravel()) / 1e4, rel=1e-7)


def test_classes_other_than_cropland_get_names_from_the_tag_of_the_map_or_numbers(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    path = write_raster(tmp_path / "change.tif", np.arange(4, dtype=np.uint8).reshape(2, 2))
    assert class_names(path, [0, 3]) == {0: "class 0", 3: "class 3"}
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(SEG_CLASSES='{"0": "stable other", "3": "lost"}')
    assert class_names(path, [0, 3]) == {0: "stable other", 3: "lost"}
    with pytest.raises(RasterError, match="SEG_CLASSES does not contain a name for all values"):
        class_names(path, [2])
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(SEG_CLASSES="[" * 100_000)
    with pytest.raises(RasterError, match="SEG_CLASSES does not contain a name for all values"):
        class_names(path, [0])


@pytest.mark.parametrize(
    ("pixels", "profile", "wanted"),
    [
        (np.full((4, 4), 0.5, np.float32), {}, "has the value 0.5; wanted whole numbers"),
        (np.full((4, 4), 300, np.uint16), {}, "has the value 300; wanted classes 0 to 254"),
        (np.full((4, 4), -1, np.int16), {}, "has the value -1; wanted classes"),
        (np.arange(64, dtype=np.uint8).reshape(8, 8), {}, "more than 32 different values"),
        (np.full((4, 4), 255, np.uint8), {}, "no pixel of any class"),
        (np.zeros((4, 4), np.uint8), {"crs": None}, "has no CRS"),
        (np.zeros((2, 4, 4), np.uint8), {}, "has 2 bands"),
    ],
)
def test_rasters_that_are_not_class_maps_are_refused_in_one_line(
    write_raster: WriteRaster, tmp_path: Path, pixels: np.ndarray, profile: dict[str, object], wanted: str
) -> None:
    path = write_raster(tmp_path / "map.tif", pixels, **profile)
    with pytest.raises(RasterError, match=wanted) as caught:
        Population(path).tally()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_zones_are_refused(class_map: Path, write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "zones.tif", np.arange(4800, dtype=np.int32).reshape(60, 80))
    with pytest.raises(RasterError, match="more than 1000 strata"):
        Population(class_map, path).tally()


def test_zones_of_another_grid_are_refused(class_map: Path, write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "zones.tif", np.zeros((60, 79), np.uint8))
    with pytest.raises(RasterError, match="size is 79x60"):
        Population(class_map, path).tally()
