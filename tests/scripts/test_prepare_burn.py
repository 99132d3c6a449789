"""Labels burnt by `prepare.py burn`; tests/support/burn_bench.py defines the image and the fields."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.features
import shapely
from rasterio import Affine

from seg.labels import CROPLAND, IGNORE, OTHER
from support.burn_bench import (
    ALL,
    FIELDS,
    HEIGHT,
    UTM_33N,
    WIDTH,
    Labels,
    MaskOf,
    burn,
    burnt_mask,
    drawn,
    field,
    write_image,
    write_labels,
)
from support.commands import run_command


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_image(tmp_path)


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    return partial(write_labels, tmp_path)


@pytest.fixture
def mask_of(image: Path) -> MaskOf:
    return partial(burnt_mask, image)


def test_mask_lies_on_the_image_and_its_counts_are_printed(image: Path, labels: Labels, tmp_path: Path) -> None:
    status, out, err = run_command(
        "prepare burn", "--image", image, "--labels", labels(), "--output", tmp_path / "mask.tif"
    )
    assert (status, err) == (0, "")
    assert out == f"{tmp_path / 'mask.tif'}: 3 polygons, {100 * ALL.mean():.1f} % cropland, 0.0 % ignore\n"
    with rasterio.open(tmp_path / "mask.tif") as mask, rasterio.open(image) as scene:
        assert (mask.crs, mask.transform, mask.shape) == (scene.crs, scene.transform, scene.shape)
        assert mask.nodata == IGNORE
        np.testing.assert_array_equal(mask.read(1), ALL)


@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.geojson", "a.fgb", "a.parquet"])
def test_labels_of_any_format_and_crs_are_reprojected(mask_of: MaskOf, labels: Labels, name: str) -> None:
    inset = [shape.buffer(-1) for shape in FIELDS]  # keeps edges away from pixel centres
    np.testing.assert_array_equal(mask_of(labels(inset, name, to="EPSG:4326")), ALL)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:3857", "EPSG:3035", "EPSG:2154", "EPSG:4258"])
def test_labels_of_another_projection_fall_on_the_pixels_they_were_drawn_on(
    mask_of: MaskOf, labels: Labels, crs: str
) -> None:
    np.testing.assert_array_equal(mask_of(labels([shape.buffer(-1) for shape in FIELDS], to=crs)), ALL)


def test_long_edges_stay_straight_in_the_crs_of_the_labels(
    tmp_path: Path, labels: Labels, write_raster: Callable[..., Path]
) -> None:
    coarse = Affine(1000, 0, 300_000, 0, -1000, 5_000_000)
    image = write_raster(tmp_path / "image.tif", np.ones((150, 250), dtype=np.uint8), transform=coarse)
    path = tmp_path / "labels.gpkg"
    region = geopandas.GeoDataFrame(geometry=[shapely.box(12.6, 44.0, 15.4, 44.7)], crs="EPSG:4326")
    pyogrio.write_dataframe(region, path)
    status, _, _ = burn(image, path, tmp_path / "mask.tif")
    assert status == 0
    dense = geopandas.GeoSeries(shapely.segmentize(region.geometry.to_numpy(), 1e-4), crs="EPSG:4326").to_crs(UTM_33N)
    with rasterio.open(tmp_path / "mask.tif") as mask:
        wanted = rasterio.features.rasterize(dense, mask.shape, transform=coarse, dtype="uint8")
        vertices_only = rasterio.features.rasterize(
            region.to_crs(UTM_33N).geometry, mask.shape, transform=coarse, dtype="uint8"
        )
        assert (mask.read(1) != wanted).sum() <= 1
    assert (vertices_only != wanted).sum() > 10


def test_polygon_far_larger_than_the_image_covers_it(mask_of: MaskOf, tmp_path: Path) -> None:
    world = shapely.box(-180, -90, 180, 90).difference(shapely.box(14, 45, 15.0001, 46))
    pyogrio.write_dataframe(geopandas.GeoDataFrame(geometry=[world], crs="EPSG:4326"), tmp_path / "world.gpkg")
    # The left edge of the image is the central meridian, 15 E; there, 0.0001 degrees are 7.9 m.
    np.testing.assert_array_equal(mask_of(tmp_path / "world.gpkg"), drawn((CROPLAND, (1, 0, WIDTH, HEIGHT))))


def test_rotated_image_equals_rasterio(tmp_path: Path, labels: Labels, write_raster: Callable[..., Path]) -> None:
    turned = Affine(10, 0, 500_100, 0, -10, 4_999_950) @ Affine.rotation(31)
    image = write_raster(tmp_path / "turned.tif", np.ones((HEIGHT, WIDTH), dtype=np.uint8), transform=turned)
    assert burn(image, labels(), tmp_path / "mask.tif")[0] == 0
    with rasterio.open(tmp_path / "mask.tif") as mask:
        wanted = rasterio.features.rasterize(FIELDS, mask.shape, transform=turned, dtype="uint8")
        np.testing.assert_array_equal(mask.read(1), wanted)
    assert 0 < wanted.mean() < 1


def test_option_column_defines_cropland_and_no_label(mask_of: MaskOf, labels: Labels) -> None:
    path = labels(crop=["wheat", "meadow", "fallow"])
    mask = mask_of(path, "--column", "crop", "--cropland=wheat", "--ignore=fallow", "--outside", "ignore")
    wanted = drawn((CROPLAND, (2, 2, 10, 10)), (OTHER, (10, 2, 20, 10)), outside=IGNORE)
    np.testing.assert_array_equal(mask, wanted)


@pytest.mark.parametrize("codes", [[211, 7, None], ["211", "7", None], [211.0, 7.5, None]])
def test_codes_are_compared_as_text_and_a_polygon_without_a_code_has_no_label(
    mask_of: MaskOf, labels: Labels, codes: list[object]
) -> None:
    mask = mask_of(labels(code=codes), "--column=code", "--cropland", "211")
    np.testing.assert_array_equal(mask, drawn((CROPLAND, (2, 2, 10, 10)), (IGNORE, (2, 12, 20, 18))))


@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.parquet", "a.geojson"])
def test_conditions_define_cropland_and_no_label(mask_of: MaskOf, labels: Labels, name: str) -> None:
    path = labels(name=name, code=[3, 150, 200])
    mask = mask_of(path, "--cropland-where", "code < 100", "--ignore-where=code = 200")
    np.testing.assert_array_equal(mask, drawn((CROPLAND, (2, 2, 10, 10)), (IGNORE, (2, 12, 20, 18))))


@pytest.mark.parametrize("name", ["a.gpkg", "a.shp", "a.parquet"])
@pytest.mark.parametrize(
    "condition", ["area > 4 AND area < 9", "AREA = 5", "crop LIKE 'm%'", "FID <> 0 AND crop = 'maize'"]
)
def test_option_where_drops_other_polygons(mask_of: MaskOf, labels: Labels, name: str, condition: str) -> None:
    path = labels(name=name, area=[1, 5, 9], crop=["wheat", "maize", "oats"])
    mask = mask_of(path, "--where", condition)
    np.testing.assert_array_equal(mask, drawn((CROPLAND, (10, 2, 20, 10))))


def test_layer_is_chosen_by_name(mask_of: MaskOf, labels: Labels) -> None:
    path = labels()
    second = geopandas.GeoDataFrame(geometry=FIELDS[:1], crs=UTM_33N)
    pyogrio.write_dataframe(second, path, layer="second", append=True)
    np.testing.assert_array_equal(mask_of(path, "--layer", "second"), drawn((CROPLAND, (2, 2, 10, 10))))


def test_buffer_and_all_touched_affect_the_mask(mask_of: MaskOf, labels: Labels) -> None:
    path = labels([field(5.6, 5, 12, 12)])
    touched = mask_of(path, "--all-touched")
    np.testing.assert_array_equal(touched, drawn((CROPLAND, (5, 5, 12, 12))))
    edges = mask_of(labels([field(5, 5, 14, 14)]), "--ignore-buffer=2")
    inner = drawn((IGNORE, (4, 3, 15, 16)), (IGNORE, (3, 4, 16, 15)), (CROPLAND, (7, 7, 12, 12)))
    np.testing.assert_array_equal(edges[5:14], inner[5:14])
    np.testing.assert_array_equal(edges[:, 5:14], inner[:, 5:14])


def test_edge_of_a_parcel_beside_the_image_is_ignored_within_the_image(mask_of: MaskOf, labels: Labels) -> None:
    mask = mask_of(labels([field(5, 5, 9, 9), field(-9, 0, -1, HEIGHT)]), "--ignore-buffer", 3)
    assert np.flatnonzero(mask[15] == IGNORE).tolist() == [0, 1]


def test_repaired_holed_nested_and_empty_geometries_are_burnt(mask_of: MaskOf, labels: Labels) -> None:
    corner = shapely.get_coordinates(field(0, 0, 4, 4))
    bowtie = shapely.Polygon(corner[[0, 1, 3, 2]])
    holed = field(6, 1, 14, 9).difference(field(8, 3, 12, 7))
    several = shapely.MultiPolygon([field(16, 1, 19, 4), field(20, 1, 22, 4)])
    spike = shapely.GeometryCollection([several, shapely.LineString([(500_000, 4_999_900), (500_200, 4_999_900)])])
    mask = mask_of(labels([bowtie, holed, spike, None, shapely.Polygon()], name="a.geojson"))
    wanted = drawn(
        (CROPLAND, (6, 1, 14, 9)), (OTHER, (8, 3, 12, 7)), (CROPLAND, (16, 1, 19, 4)), (CROPLAND, (20, 1, 22, 4))
    )
    np.testing.assert_array_equal(mask[:, 5:], wanted[:, 5:])
    # A bow tie: two triangles that meet in the middle; both must be burnt.
    assert 4 <= (mask[:4, :4] == CROPLAND).sum() <= 12


def test_folder_of_images_becomes_a_folder_of_masks(
    labels: Labels, tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    pixels = np.ones((HEIGHT, 10), dtype=np.uint8)
    for number, name in enumerate(["a.tif", "b.tiff"]):
        place = Affine(10, 0, 500_000 + 100 * number, 0, -10, 5_000_000)
        write_raster(tmp_path / "images" / name, pixels, transform=place)
    status, out, err = run_command(
        "prepare burn", "--image", tmp_path / "images", "--labels", labels(), "--output", tmp_path / "masks"
    )
    assert (status, err) == (0, "")
    assert [line.partition(":")[0] for line in out.splitlines()] == [f"{tmp_path}/masks/{x}.tif" for x in "ab"]
    both = [rasterio.open(tmp_path / "masks" / f"{x}.tif") for x in "ab"]
    np.testing.assert_array_equal(np.hstack([mask.read(1) for mask in both]), ALL[:, :20])
    for mask in both:
        mask.close()


def test_image_of_a_folder_without_a_polygon_gets_a_mask_of_the_outside_label(
    labels: Labels, tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    pixels = np.ones((HEIGHT, 10), dtype=np.uint8)
    for name, column in (("a_town", 900), ("b", 0), ("c_forest", 500)):
        place = Affine(10, 0, 500_000 + 10 * column, 0, -10, 5_000_000)
        write_raster(tmp_path / "images" / f"{name}.tif", pixels, transform=place)
    words = ["--image", tmp_path / "images", "--labels", labels(), "--output", tmp_path / "masks"]
    status, out, err = run_command("prepare burn", *words)
    assert (status, err) == (0, "")
    assert out.count("0 polygons, 0.0 % cropland") == 2
    for name, share in (("a_town", 0), ("b", ALL[:, :10].mean()), ("c_forest", 0)):
        with rasterio.open(tmp_path / "masks" / f"{name}.tif") as mask:
            assert mask.read(1).mean() == share
    assert run_command("prepare burn", *words, "--outside=ignore")[0] == 0
    with rasterio.open(tmp_path / "masks" / "a_town.tif") as mask:
        assert set(mask.read(1).flat) == {IGNORE}


def test_polygons_outside_all_images_are_refused(
    labels: Labels, tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    for name in "ab":
        place = Affine(10, 0, 600_000, 0, -10, 5_000_000)
        write_raster(tmp_path / "images" / f"{name}.tif", np.ones((5, 5), dtype=np.uint8), transform=place)
    status, _, err = run_command(
        "prepare burn", "--image", tmp_path / "images", "--labels", labels(), "--output", tmp_path / "masks"
    )
    assert status == 2
    assert "none of its polygons lies on" in err
    assert list((tmp_path / "masks").iterdir()) == []


def test_a_broken_image_does_not_stop_the_others(
    labels: Labels, tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    pixels = np.ones((HEIGHT, 10), dtype=np.uint8)
    for name in "ac":
        write_raster(tmp_path / "images" / f"{name}.tif", pixels)
    (tmp_path / "images" / "b.tif").write_text("not a raster")
    write_raster(tmp_path / "images" / "d.tif", pixels, crs=None)
    status, out, err = run_command(
        "prepare burn", "--image", tmp_path / "images", "--labels", labels(), "--output", tmp_path / "masks"
    )
    assert (status, len(out.splitlines())) == (1, 2)
    assert err.startswith("error: 2 of 4 images got no mask: ")
    assert "b.tif: not a readable raster" in err
    assert "d.tif: has no valid georeference" in err
    assert {path.name for path in (tmp_path / "masks").iterdir()} == {"a.tif", "c.tif"}


def test_listed_value_that_no_polygon_has_gets_a_note(image: Path, labels: Labels, tmp_path: Path) -> None:
    path = labels(crop=["wheat", "maize", "wheat"])
    words = ["--image", image, "--labels", path, "--output", tmp_path / "mask.tif", "--column=crop"]
    status, _, err = run_command("prepare burn", *words, "--cropland=wheat,rye", "--ignore=fallow")
    assert (status, err) == (0, f"note: {path}: no value of column 'crop' is rye or fallow\n")


def test_a_parcel_below_a_pixel_gets_a_note_and_the_advice_burns_it(
    image: Path, labels: Labels, tmp_path: Path
) -> None:
    words = ["--image", image, "--labels", labels([field(2, 2, 8, 8), field(22.6, 15.6, 23.4, 16.4)])]
    status, _, err = run_command("prepare burn", *words, "--output", tmp_path / "mask.tif")
    assert status == 0
    assert err.startswith(f"note: {tmp_path / 'mask.tif'}: 1 polygon covers no pixel centre")
    status, _, err = run_command("prepare burn", *words, "--output", tmp_path / "mask.tif", "--all-touched=true")
    assert (status, err) == (0, "")
