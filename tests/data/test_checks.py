from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio import Affine

from seg.data.catalogue import Scene
from seg.data.checks import check_labels, check_scene
from seg.errors import DatasetError, RasterError

WriteRaster = Callable[..., Path]
SCENE = Scene(Path("image.tif"), Path("mask.tif"), 0)


@pytest.fixture
def scene_with(write_raster: WriteRaster, tmp_path: Path) -> Callable[..., Scene]:
    """A function that writes a three-band image of 8x9 pixels with a mask of the profile given."""

    def write(shape: tuple[int, ...] = (1, 8, 9), **profile: object) -> Scene:
        image = write_raster(tmp_path / "image.tif", np.ones((3, 8, 9), dtype=np.uint16))
        mask = write_raster(tmp_path / "mask.tif", np.zeros(shape, dtype=np.uint8), **profile)
        return Scene(image, mask, 0)

    return write


def test_a_scene_that_fits_gives_its_images_grid(scene_with: Callable[..., Scene]) -> None:
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
    with pytest.raises(DatasetError, match=r"mask\.tif: has 3 bands; wanted a mask with one band of labels"):
        check_scene(scene_with((3, 8, 9)), [1])


@pytest.mark.parametrize(("bands", "missing"), [([1, 4], 4), ([0, 3], 0), ([-1, 2], -1)])
def test_the_band_that_an_image_lacks_is_named(
    scene_with: Callable[..., Scene], bands: list[int], missing: int
) -> None:
    with pytest.raises(DatasetError, match=rf"image\.tif: has 3 bands, but band {missing} is wanted; .* data\.bands"):
        check_scene(scene_with(), bands)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_known_labels_come_as_uint8_from_any_type(dtype: str) -> None:
    labels = check_labels(SCENE, np.array([[0, 1, 255]], dtype=dtype))
    assert (labels.dtype, labels.tolist()) == (np.uint8, [[0, 1, 255]])


@pytest.mark.parametrize(
    ("values", "dtype", "unknown"),
    [
        ([0, 7, 1], "uint8", r"\[7\]"),
        ([2, 3, 0], "uint8", r"\[2, 3\]"),
        ([0, -1], "int16", r"\[-1\]"),
        ([256, 257, 511], "int16", r"\[256, 257, 511\]"),
        ([0.5, 1], "float32", r"\[0\.5\]"),
        ([0, np.nan], "float32", r"\[nan\]"),
        ([1, 1e30], "float64", r"\[1e\+30\]"),
    ],
    ids=["7", "several", "-1 wraps to 255", "multiples of 256 wrap", "a half", "nan", "huge"],
)
def test_unknown_labels_are_named_with_the_known_ones(values: list[float], dtype: str, unknown: str) -> None:
    with pytest.raises(
        DatasetError, match=rf"mask\.tif: has the values {unknown}; wanted 0 \(other\), 1 \(cropland\), 255 \(ignore\)"
    ):
        check_labels(SCENE, np.array([values], dtype=dtype))
