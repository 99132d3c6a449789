from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rasterio import Affine
from rasterio.enums import ColorInterp

from seg.data.dataset.catalogue import Scene
from seg.data.dataset.checks import (
    MAX_VALUES,
    LabelCounts,
    check_scene,
    count_labels,
    require_any_label,
    require_both_classes,
    require_loadable,
)
from seg.errors import DatasetError, RasterError
from seg.raster.grid import Grid

WriteRaster = Callable[..., Path]


@pytest.fixture
def scene_with(write_raster: WriteRaster, tmp_path: Path) -> Callable[..., Scene]:
    """Function that writes a three-band image of 8x9 pixels and a mask with a given profile."""

    def write(shape: tuple[int, ...] = (1, 8, 9), **profile: object) -> Scene:
        image = write_raster(tmp_path / "image.tif", np.ones((3, 8, 9), dtype=np.uint16))
        mask = write_raster(tmp_path / "mask.tif", np.zeros(shape, dtype=np.uint8), **profile)
        return Scene(image, mask, 0)

    return write


def test_a_consistent_scene_returns_the_grid_of_its_image(scene_with: Callable[..., Scene]) -> None:
    scene = scene_with()
    assert check_scene(scene, [1, 3]).path == scene.image


@pytest.mark.parametrize(
    ("shape", "profile", "problem"),
    [
        ((1, 8, 10), {}, r"mask\.tif: size is 10x8, but .*image\.tif has 9x8"),
        ((1, 8, 9), {"crs": "EPSG:4326"}, r"mask\.tif: CRS is EPSG:4326, but .*image\.tif has EPSG:32633"),
        ((1, 8, 9), {"transform": Affine.scale(10, -10)}, r"mask\.tif: lies up to .* pixels off .*image\.tif"),
    ],
    ids=["size", "crs", "place"],
)
def test_a_mask_on_another_grid_is_refused(
    scene_with: Callable[..., Scene], shape: tuple[int, ...], profile: dict[str, object], problem: str
) -> None:
    with pytest.raises(RasterError, match=problem):
        check_scene(scene_with(shape, **profile), [1])


def test_a_mask_of_several_bands_is_refused(scene_with: Callable[..., Scene]) -> None:
    with pytest.raises(RasterError, match=r"mask\.tif: has 3 bands, wanted one band of classes"):
        check_scene(scene_with((3, 8, 9)), [1])


@pytest.mark.parametrize(("bands", "missing"), [([1, 4], 4), ([0, 3], 0), ([-1, 2], -1)])
def test_a_missing_band_is_named_in_the_error(scene_with: Callable[..., Scene], bands: list[int], missing: int) -> None:
    with pytest.raises(DatasetError, match=rf"image\.tif: has 3 bands, but band {missing} is wanted; .* data\.bands"):
        check_scene(scene_with(), bands)


def test_a_mask_may_have_an_alpha_band(scene_with: Callable[..., Scene]) -> None:
    meanings = [ColorInterp.gray, ColorInterp.alpha]
    assert check_scene(scene_with((2, 8, 9), meanings=meanings), [1]).bands == 3


def test_a_mask_with_a_label_value_as_nodata_is_refused(scene_with: Callable[..., Scene]) -> None:
    with pytest.raises(RasterError, match=r"mask\.tif: nodata is 0, which is also the label 'other'"):
        check_scene(scene_with(nodata=0), [1])


def png_mask(write_raster: WriteRaster, scene: Scene, width: int) -> Scene:
    """The scene with a mask of 8 rows as a PNG without georeference, as annotation tools write."""
    labels = np.zeros((8, width), dtype=np.uint8)
    return replace(
        scene, mask=write_raster(scene.mask.with_suffix(".png"), labels, driver="PNG", crs=None, transform=None)
    )


def test_a_png_mask_fits_an_image_of_the_same_size(scene_with: Callable[..., Scene], write_raster: WriteRaster) -> None:
    scene = png_mask(write_raster, scene_with(), width=9)
    assert check_scene(scene, [1]).path == scene.image


def test_a_png_mask_of_another_size_is_refused(scene_with: Callable[..., Scene], write_raster: WriteRaster) -> None:
    with pytest.raises(RasterError, match=r"mask\.png: size is 10x8, but .*image\.tif has 9x8"):
        check_scene(png_mask(write_raster, scene_with(), width=10), [1])


@pytest.mark.parametrize("width", [8_000, 8_001])
def test_a_scene_too_large_for_one_example_is_refused(width: int) -> None:
    grid = Grid(Path("huge.tif"), 2_000, width, 4, None, Affine.identity(), None, "uint16")
    if 4 * 2_000 * width <= MAX_VALUES:
        require_loadable(grid, 4)
        return
    with pytest.raises(
        DatasetError, match=r"huge\.tif: has 8001x2000 pixels in 4 bands, .* up to 64 million; train on chips"
    ):
        require_loadable(grid, 4)


def test_labels_are_counted_by_class(scene_with: Callable[..., Scene], write_raster: WriteRaster) -> None:
    scene = scene_with()
    write_raster(scene.mask, np.array([[0, 1, 1], [255, -1, 0]], dtype=np.int16), nodata=-1)
    assert count_labels(scene) == LabelCounts(other=2, cropland=2, ignored=2)


@pytest.mark.parametrize(("other", "cropland"), [(9, 0), (0, 9), (0, 0)])
def test_a_split_without_one_of_the_classes_is_refused_with_its_counts(other: int, cropland: int) -> None:
    problem = rf"2 training scenes have {cropland} pixels of cropland, {other} of other and 7 without .* recode"
    with pytest.raises(DatasetError, match=problem):
        require_both_classes(Path("data"), [LabelCounts(other, cropland, 7), LabelCounts(0, 0, 0)])


def test_classes_may_be_in_different_scenes() -> None:
    require_both_classes(Path("data"), [LabelCounts(1, 0, 0), LabelCounts(0, 1, 0)])


def test_a_held_out_split_without_any_label_is_refused() -> None:
    require_any_label(Path("data"), [LabelCounts(0, 0, 9), LabelCounts(0, 1, 8)])
    with pytest.raises(DatasetError, match="2 held-out scenes have no pixel with a label, only 18"):
        require_any_label(Path("data"), [LabelCounts(0, 0, 9), LabelCounts(0, 0, 9)])
