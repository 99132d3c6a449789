"""Mistakes in `prepare.py burn` are reported in one line with exit status 2, and no file is written."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio import Affine

from seg.files import claimed
from support.burn_bench import (
    FIELDS,
    HEIGHT,
    UTM_33N,
    WIDTH,
    Labels,
    burn,
    field,
    refused,
    write_image,
    write_labels,
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_image(tmp_path)


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    return partial(write_labels, tmp_path)


BAD_OPTIONS = [
    (["--column", "kind", "--cropland=wheat"], "labels.gpkg: has no column 'kind'; wanted one of 'crop', 'code'"),
    (["--column", "crop", "--cropland=weat"], "column 'crop' has none of the values 'weat'; wanted some of 'maize'"),
    (["--column", "crop"], "column is 'crop', but cropland is not given"),
    (["--cropland", "wheat"], "give the name of this column as column"),
    (["--ignore", "wheat"], "give the name of this column as column"),
    (["--column=crop", "--cropland=wheat", "--ignore-where=code=1"], "but a condition of a class is given too"),
    (["--column=crop", "--cropland=wheat", "--ignore=wheat"], "'wheat' is in both cropland and ignore"),
    (["--where", "size > 3"], "cannot filter by 'size > 3'"),
    (["--where", "code >"], "cannot filter by 'code >'"),
    (["--where", "code > 100"], "no feature meets the condition 'code > 100'"),
    (["--cropland-where", "code > 100"], "no feature meets the condition 'code > 100'"),
    (["--layer", "parcels"], "labels.gpkg: has no layer 'parcels' of geometries; wanted one of 'labels'"),
    (["--ignore-buffer=-1"], "ignore-buffer is -1; wanted 0 or more"),
    (["--outside", "cropland"], "--outside is 'cropland'; wanted other or ignore"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS, ids=lambda value: " ".join(value)[:40])
def test_invalid_options_for_the_labels_are_refused_in_one_line(
    image: Path, labels: Labels, tmp_path: Path, options: list[str], message: str
) -> None:
    path = labels(crop=["wheat", "maize", "oats"], code=[1, 2, 3])
    assert message in refused(image, path, tmp_path / "mask.tif", *options)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.gpkg", None, "none.gpkg: no such file"),
        ("text.gpkg", "hello", "text.gpkg: not a readable vector file"),
        ("text.parquet", "hello", "text.parquet: not a readable vector file"),
        ("table.csv", "a,b\n1,2\n", "table.csv: holds no layer with geometries"),
    ],
)
def test_file_without_vectors_is_refused_in_one_line(
    image: Path, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    assert message in refused(image, tmp_path / name, tmp_path / "mask.tif")


@pytest.mark.parametrize(
    "shape", [shapely.Point(500_050, 4_999_950), shapely.LineString([(500_050, 4_999_950), (500_090, 4_999_950)])]
)
def test_points_and_lines_are_refused_in_one_line(
    image: Path, labels: Labels, tmp_path: Path, shape: shapely.Geometry
) -> None:
    line = refused(image, labels([*FIELDS, shape], name="a.geojson"), tmp_path / "mask.tif")
    assert f"1 of 4 features are not polygons but {shape.geom_type}" in line


def test_several_layers_without_a_choice_are_refused_in_one_line(image: Path, labels: Labels, tmp_path: Path) -> None:
    path = labels()
    pyogrio.write_dataframe(geopandas.GeoDataFrame(geometry=FIELDS, crs=UTM_33N), path, layer="second", append=True)
    assert "has 2 layers, 'labels', 'second'; choose one" in refused(image, path, tmp_path / "mask.tif")


def test_labels_without_a_crs_are_refused_in_one_line(image: Path, labels: Labels, tmp_path: Path) -> None:
    path = labels(name="a.shp")
    path.with_suffix(".prj").unlink()
    assert "a.shp: has no CRS" in refused(image, path, tmp_path / "mask.tif")


@pytest.mark.parametrize("shape", [field(100, 100, 110, 110), field(WIDTH + 1, 2, WIDTH + 5, 6), field(-2, -2, 0, 0)])
@pytest.mark.parametrize("crs", [UTM_33N, "EPSG:4326"])
def test_labels_beside_the_image_are_refused_in_one_line(
    image: Path, labels: Labels, tmp_path: Path, shape: shapely.Polygon, crs: str
) -> None:
    line = refused(image, labels([shape.buffer(-1)], to=crs), tmp_path / "mask.tif", "--ignore-buffer=3")
    assert f"none of its polygons lies on {image}" in line


@pytest.mark.parametrize(
    ("place", "lacking"),
    [({"crs": None}, "CRS missing"), ({"transform": Affine.identity()}, "transform missing")],
)
def test_image_without_a_georeference_is_refused_in_one_line(
    labels: Labels, tmp_path: Path, write_raster: Callable[..., Path], place: dict[str, object], lacking: str
) -> None:
    image = write_raster(tmp_path / "image.tif", np.ones((HEIGHT, WIDTH), dtype=np.uint8), **place)
    line = refused(image, labels(), tmp_path / "mask.tif")
    assert f"{image}: has no valid georeference ({lacking})" in line


def test_missing_image_is_refused_in_one_line(labels: Labels, tmp_path: Path) -> None:
    assert "none.tif: no such file" in refused(tmp_path / "none.tif", labels(), tmp_path / "mask.tif")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("image.tif", "image.tif: is one of the inputs and would be overwritten"),
        ("mask.png", "mask.png: wanted a file name that ends in .tif or .tiff"),
        (".", "is a folder; name a file"),
    ],
)
def test_invalid_output_is_refused_in_one_line(
    image: Path, labels: Labels, tmp_path: Path, output: str, message: str
) -> None:
    assert message in refused(image, labels(), tmp_path / output)


def test_output_in_a_folder_that_does_not_exist_is_refused_in_one_line(
    image: Path, labels: Labels, tmp_path: Path
) -> None:
    assert "nowhere does not exist; create it" in refused(image, labels(), tmp_path / "nowhere" / "mask.tif")


def test_folder_of_images_as_its_own_output_is_refused_in_one_line(
    labels: Labels, tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    write_raster(tmp_path / "images" / "a.tif", np.ones((HEIGHT, WIDTH), dtype=np.uint8))
    assert "a.tif: is one of the inputs" in refused(tmp_path / "images", labels(), tmp_path / "images")


def test_folder_without_images_or_with_two_of_one_stem_is_refused_in_one_line(
    labels: Labels, tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    assert "images: holds no image" in refused(folder, labels(), tmp_path / "masks")
    for name in ("a.tif", "a.tiff"):
        write_raster(folder / name, np.ones((HEIGHT, WIDTH), dtype=np.uint8))
    assert "a.tiff: has the same stem as a.tif" in refused(folder, labels(), tmp_path / "masks")


def test_masks_of_another_program_in_the_folder_of_masks_stay(image: Path, labels: Labels, tmp_path: Path) -> None:
    scenes, masks = tmp_path / "scenes", tmp_path / "masks"
    scenes.mkdir()
    image.rename(scenes / "image.tif")
    for _ in range(2):  # Masks of this project are replaced, for example after a kill.
        assert burn(scenes, labels(), masks).status == 0
    with rasterio.open(masks / "image.tif") as mask:
        profile, drawn = mask.profile, mask.read()
    with rasterio.open(masks / "image.tif", "w", **profile) as mask:
        mask.write(drawn)
    assert "image.tif: was not written by cropland-seg" in refused(scenes, labels(), masks)


def test_folder_of_masks_that_another_process_writes_is_refused_in_one_line(
    image: Path, labels: Labels, tmp_path: Path
) -> None:
    scenes, masks = tmp_path / "scenes", tmp_path / "masks"
    for folder in (scenes, masks):
        folder.mkdir()
    image.rename(scenes / "image.tif")
    with claimed(masks):
        assert "masks: another process uses this folder" in refused(scenes, labels(), masks)


def test_file_instead_of_the_folder_of_masks_is_refused_in_one_line(
    labels: Labels, tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    write_raster(tmp_path / "images" / "a.tif", np.ones((HEIGHT, WIDTH), dtype=np.uint8))
    (tmp_path / "masks").write_text("mine")
    assert "masks: is a file; name a folder" in refused(tmp_path / "images", labels(), tmp_path / "masks")
    assert (tmp_path / "masks").read_text() == "mine"
