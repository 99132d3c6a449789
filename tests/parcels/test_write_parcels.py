import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio import Affine
from rasterio.features import rasterize
from scipy import ndimage

from seg.errors import ConfigError, RasterError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.parcels.read_block import grown_parcels
from seg.parcels.settings import PolygonSettings
from seg.parcels.write_parcels import ordered_map, write_parcels
from support.parcel_maps import TRANSFORM, normalized, parcels_of, whole_map_polygons, write_map

BLOCK_SIZES = [1, 2, 3, 4, 5, 7, 8, 11, 16, 64]
CLASSES = st.sampled_from([OTHER, CROPLAND, CROPLAND, IGNORE])
MAPS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=CLASSES)


def blobs(seed: int, side: int = 40) -> np.ndarray:
    """A smooth random surface from 0 to 1, whose level sets look like fields."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).random((side, side)), 1.5)
    return (smooth.argsort(axis=None).argsort() / smooth.size).reshape(smooth.shape)


def as_file(folder: Path, pixels: np.ndarray, **settings: object) -> bytes:
    """Content of the GeoParquet file of a map."""
    parcels_of(folder, pixels, **settings)
    return (folder / "parcels.parquet").read_bytes()


@settings(max_examples=4, deadline=None)
@given(MAPS)
def test_polygons_do_not_depend_on_the_blocks(pixels: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [as_file(Path(folder), pixels, block_size=size) for size in BLOCK_SIZES]
        parcels = geopandas.read_parquet(Path(folder) / "parcels.parquet")
    assert set(files) == set(files[:1])
    assert normalized(parcels.geometry) == normalized(whole_map_polygons(pixels))


def test_a_large_map_of_noise_keeps_every_pixel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).choice([OTHER, CROPLAND, CROPLAND, IGNORE], (150, 130)).astype(np.uint8)
    parcels = parcels_of(tmp_path, pixels, block_size=32)
    assert normalized(parcels.geometry) == normalized(whole_map_polygons(pixels))
    again = rasterize(parcels.geometry, pixels.shape, transform=TRANSFORM)
    np.testing.assert_array_equal(again, pixels == CROPLAND)


@settings(max_examples=2, deadline=None)
@example(30, 3)  # a parcel has two parts in one block
@given(st.integers(0, 10_000), st.integers(0, 5))
def test_split_parcels_do_not_depend_on_the_blocks(seed: int, growth: int) -> None:
    surface = blobs(seed, side=22)
    pixels, interior = (surface > 0.3).astype(np.uint8), (surface > 0.6).astype(np.uint8)
    labels = grown_parcels(pixels > 0, interior > 0, growth)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {
            as_file(folder, pixels, block_size=size, interior=interior, growth=growth) for size in (5, 7, 8, 11, 16, 64)
        }
        parcels = geopandas.read_parquet(folder / "parcels.parquet")
    assert len(files) == 1
    assert shapely.coverage_is_valid(parcels.geometry.to_numpy())
    # Each parcel covers exactly the pixels of one label.
    again = rasterize(
        ((polygon, number) for number, polygon in enumerate(parcels.geometry, start=1)),
        labels.shape,
        transform=TRANSFORM,
    )
    pairs = np.unique(np.stack([again.ravel(), labels.ravel()]), axis=1)
    assert pairs.shape[1] == len(parcels) + 1 == labels.max() + 1
    assert parcels.area.sum() == 100 * np.count_nonzero(labels)


@pytest.mark.parametrize("tolerance", [8.0, 25.0, 60.0])
@pytest.mark.parametrize("split", [False, True])
def test_simplified_parcels_neither_overlap_nor_leave_gaps(tmp_path: Path, tolerance: float, split: bool) -> None:
    surface = blobs(seed=1)
    options = {"interior": (surface > 0.6).astype(np.uint8)} if split else {}
    pixels = (surface > 0.4).astype(np.uint8)
    plain = parcels_of(tmp_path, pixels, **dict(options))
    files = {as_file(tmp_path, pixels, simplify=tolerance, block_size=size, **dict(options)) for size in (7, 16, 64)}
    simple = geopandas.read_parquet(tmp_path / "parcels.parquet")
    assert len(files) == 1
    assert list(simple["id"]) == list(plain["id"])
    assert shapely.get_num_coordinates(simple.geometry).sum() < 0.75 * shapely.get_num_coordinates(plain.geometry).sum()
    assert simple.geometry.is_valid.all()
    assert shapely.coverage_is_valid(simple.geometry.to_numpy())
    assert simple.union_all().area == pytest.approx(simple.area.sum())
    assert np.abs(simple.area / 1e4 / simple["area"] - 1).max() < 2e-3
    neighbours = [frame.geometry.touches(frame.union_all()) for frame in (plain, simple)]
    assert list(neighbours[0]) == list(neighbours[1])


def test_small_parcels_are_left_out_and_small_holes_filled(tmp_path: Path) -> None:
    pixels = np.zeros((12, 12), np.uint8)
    pixels[1:9, 1:9] = 1
    pixels[2:5, 2:5] = 0  # a hole of 900 m² with an island of one pixel
    pixels[3, 3] = 1
    pixels[6, 6] = IGNORE  # a hole of 100 m²
    pixels[10, 10:12] = 1  # a parcel of 200 m²
    for size in (4, 64):
        every = parcels_of(tmp_path, pixels, block_size=size)
        filled = parcels_of(tmp_path, pixels, block_size=size, min_hole="800m2")
        alone = parcels_of(tmp_path, pixels, block_size=size, min_hole="1000m2", min_area="250m2")
        assert list(every["id"]) == ["r1c1", "r3c3", "r10c10"]
        assert list(every.area) == [(64 - 9 - 1) * 100, 100, 200]
        assert list(filled.area) == [(64 - 9) * 100, 100, 200]
        assert list(alone.area) == [6400]
        assert alone["area"][0] == pytest.approx(0.64, rel=1e-3)
        assert alone["perimeter"][0] == pytest.approx(320, rel=1e-3)


def test_probabilities_are_means_over_the_pixels_of_parcels(tmp_path: Path) -> None:
    pixels = np.array([[1, 1, 1, 0, 1], [1, 1, 0, 0, 1]], np.uint8)
    percent = np.array([[90, 80, 30, 9, IGNORE], [75, 76, 9, 9, IGNORE]], np.uint8)
    for size in (1, 2, 64):
        parcels = parcels_of(tmp_path, pixels, block_size=size, probability=percent)
        assert parcels["mean_probability"][0] == pytest.approx((90 + 80 + 30 + 75 + 76) / 500)
        assert parcels["uncertain_share"][0] == 2 / 5
        assert parcels[["mean_probability", "uncertain_share"]].isna().to_numpy().tolist() == [[False] * 2, [True] * 2]


@pytest.mark.parametrize("name", ["parcels.gpkg", "parcels.GeoJSON", "parcels.json", "parcels.geoparquet"])
@pytest.mark.parametrize("empty", [False, True])
def test_each_format_is_read_back(tmp_path: Path, name: str, empty: bool) -> None:
    pixels = np.zeros((4, 5), np.uint8)
    pixels[1:3, 1:3] = not empty
    write_parcels(write_map(tmp_path / "map.tif", pixels), tmp_path / name, PolygonSettings(block_size=2))
    read = geopandas.read_parquet if name.endswith("parquet") else geopandas.read_file
    parcels = read(tmp_path / name)
    assert parcels.crs == ("EPSG:4326" if "json" in name.lower() else "EPSG:32633")
    assert len(parcels) == (0 if empty else 1)
    if not empty:
        assert {"id", "area", "perimeter", "geometry"} == set(parcels.columns)
        [box] = parcels.to_crs("EPSG:32633").geometry
        assert box.exterior.is_ccw
        assert box.symmetric_difference(shapely.box(500_010, 4_999_970, 500_030, 4_999_990)).area < 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["map.tif", name])


def test_turned_and_south_up_maps_have_counterclockwise_shells(tmp_path: Path) -> None:
    pixels = np.ones((3, 3), np.uint8)
    pixels[1, 1] = 0
    for transform in (Affine.rotation(30) @ Affine.scale(10, -10), Affine.rotation(30) @ Affine.scale(10, 10)):
        placed = Affine.translation(500_000, 5_000_000) @ transform
        [polygon] = parcels_of(tmp_path, pixels, {"transform": placed}).geometry
        assert (polygon.exterior.is_ccw, polygon.interiors[0].is_ccw) == (True, False)
        assert polygon.area == pytest.approx(800)


@pytest.mark.parametrize(
    ("profile", "pixel", "message"),
    [
        ({"crs": None}, 1, "has no CRS, so the areas of its parcels are unknown"),
        ({}, 7, "holds the values 7, wanted 0"),
        ({"nodata": 1}, 1, "nodata is 1, which is also the label"),
    ],
)
def test_bad_map_is_refused_and_nothing_left(
    tmp_path: Path, profile: dict[str, object], pixel: int, message: str
) -> None:
    source = write_map(tmp_path / "map.tif", np.full((9, 9), pixel), **profile)
    with pytest.raises(RasterError, match=message):
        write_parcels(source, tmp_path / "parcels.gpkg", PolygonSettings(block_size=4))
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]


def test_damaged_map_leaves_the_older_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (300, 300))
    source = write_map(tmp_path / "map.tif", noise, tiled=True, blockxsize=64, blockysize=64)
    source.write_bytes(source.read_bytes()[:-30_000])
    write_parcels(write_map(tmp_path / "good.tif", noise[:9, :9]), tmp_path / "parcels.gpkg", PolygonSettings())
    (tmp_path / "good.tif").unlink()
    older = (tmp_path / "parcels.gpkg").read_bytes()
    with pytest.raises(RasterError, match=r"map\.tif"):
        write_parcels(source, tmp_path / "parcels.gpkg", PolygonSettings(block_size=64))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.tif", "parcels.gpkg"]
    assert (tmp_path / "parcels.gpkg").read_bytes() == older


def test_a_probability_map_may_hold_percents_or_fractions_with_the_same_result(tmp_path: Path) -> None:
    pixels, percent = np.ones((1, 4), np.uint8), np.array([[56, 57, 58, 90]])
    for values, profile in ((percent, {}), (percent / 100, {"dtype": "float32", "nodata": None})):
        write_map(tmp_path / "percent.tif", values, **profile)
        chosen = PolygonSettings(probability=tmp_path / "percent.tif", uncertain=(0.2, 0.57))
        write_parcels(write_map(tmp_path / "map.tif", pixels), tmp_path / "parcels.parquet", chosen)
        found = geopandas.read_parquet(tmp_path / "parcels.parquet").iloc[0]
        assert (found["mean_probability"], found["uncertain_share"]) == (pytest.approx(0.6525), 0.5)


def test_percents_above_100_and_maps_on_another_grid_are_refused(tmp_path: Path) -> None:
    pixels = np.ones((3, 3), np.uint8)
    with pytest.raises(RasterError, match=r"holds 200, wanted probabilities: whole percents"):
        parcels_of(tmp_path, pixels, probability=np.full((3, 3), 200))
    with pytest.raises(RasterError, match=r"probability\.tif: size is 2x3"):
        parcels_of(tmp_path, pixels, probability=np.ones((3, 2)))
    with pytest.raises(RasterError, match=r"interior\.tif: size is 2x3"):
        parcels_of(tmp_path, pixels, interior=np.ones((3, 2)))


def test_an_output_of_unknown_format_or_in_a_missing_folder_or_a_folder_or_an_input_is_refused(tmp_path: Path) -> None:
    source = write_map(tmp_path / "map.tif", np.ones((2, 2)))
    with pytest.raises(ConfigError, match=r"parcels\.kml: wanted a file name that ends in"):
        write_parcels(source, tmp_path / "parcels.kml", PolygonSettings())
    with pytest.raises(ConfigError, match=r"parcels\.SHP: wanted a name that ends in \.shp, without capitals"):
        write_parcels(source, tmp_path / "parcels.SHP", PolygonSettings())
    with pytest.raises(ConfigError, match=r"its folder .*nowhere does not exist"):
        write_parcels(source, tmp_path / "nowhere" / "parcels.gpkg", PolygonSettings())
    (tmp_path / "folder.gpkg").mkdir()
    with pytest.raises(ConfigError, match=r"folder\.gpkg: is a folder"):
        write_parcels(source, tmp_path / "folder.gpkg", PolygonSettings())
    disguised = write_map(tmp_path / "map.json", np.ones((2, 2)))
    with pytest.raises(ConfigError, match=r"map\.json: is one of the inputs"):
        write_parcels(disguised, disguised, PolygonSettings())
    with rasterio.open(disguised) as dataset:
        assert dataset.read().all()


def test_results_are_ordered_even_if_later_ones_finish_first() -> None:
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(10)
        elif item == 1:
            second_done.set()
        return -item

    assert list(ordered_map(work, range(5), threads=2)) == [0, -1, -2, -3, -4]


def test_items_are_taken_no_faster_than_results() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(10):
            taken.append(item)
            yield item

    results = ordered_map(lambda item: item, items(), threads=2)
    assert (next(results), taken) == (0, [0, 1, 2])
    results.close()


def test_an_error_is_raised_when_its_result_is_taken() -> None:
    def work(item: int) -> float:
        return 1 / (item - 1)

    results = ordered_map(work, range(3), threads=1)
    assert next(results) == -1
    with pytest.raises(ZeroDivisionError):
        next(results)
