from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.errors import ConfigError, RasterError
from seg.imagery.masks import MaskSource, write_mask
from seg.imagery.product import SourceBand
from seg.imagery.recognition import open_product
from seg.imagery.scene import write_scene
from seg.imagery.settings import MaskSettings, SceneSettings
from seg.raster.chips import Reading, read_chip, whole
from seg.raster.grid import open_raster, read_grid
from support.products import Safe, write_jp2, write_safe

WriteRaster = Callable[..., Path]


def masked_validity(product: Path, **masking: object) -> np.ndarray:
    """Validity of the red band of a product's scene, as training and mapping read it."""
    output = product.parent / "scene.vrt"
    write_scene(open_product(product), output, SceneSettings(bands=["B04"]), MaskSettings(**masking))
    with open_raster(output) as scene:
        return read_chip(scene, whole(scene), Reading([1], [-1.0])).valid


@pytest.mark.parametrize("values", [None, [4], [0, 11]])
def test_pixels_of_masked_classes_are_invalid(tmp_path: Path, values: list[int] | None) -> None:
    scl = np.random.default_rng(0).integers(0, 12, (31, 25))
    path, stored = write_safe(tmp_path, Safe(size=(61, 49), scl=scl))
    valid = masked_validity(path, mask="auto", mask_values=values)
    clear = ~np.isin(scl, values or [3, 8, 9, 10]).repeat(2, 0).repeat(2, 1)[:61, :49]
    np.testing.assert_array_equal(valid, clear & (stored["B04"] > 0))


def test_without_a_mask_only_nodata_is_invalid(tmp_path: Path) -> None:
    path, stored = write_safe(tmp_path, Safe(scl=np.full((30, 24), 9)))
    np.testing.assert_array_equal(masked_validity(path), stored["B04"] > 0)


@pytest.mark.parametrize("distance", [1, 2, 5, 600])
def test_a_dilated_mask_hides_all_pixels_within_the_distance_also_across_strips(
    tmp_path: Path, write_raster: WriteRaster, distance: int
) -> None:
    values = np.zeros((1100, 9), np.uint8)
    values[[511, 30], [4, 0]] = 1
    path = write_raster(tmp_path / "clouds.tif", values)
    share = write_mask(
        MaskSource(SourceBand("mask", path), "classes", (1,)), read_grid(path), tmp_path / "x.msk", distance
    )
    rows, columns = np.mgrid[:1100, :9]
    near = ((rows - 511) ** 2 + (columns - 4) ** 2 <= distance**2) | ((rows - 30) ** 2 + columns**2 <= distance**2)
    with open_raster(tmp_path / "x.msk") as mask:
        np.testing.assert_array_equal(mask.read(1), np.where(near, 0, 255))
    assert share == near.mean()


@pytest.mark.parametrize("bit", range(16))
def test_a_pixel_is_masked_if_and_only_if_the_masked_bit_is_set(bit: int) -> None:
    values = np.array([[0, 1 << bit, 0xFFFF, 0xFFFF - (1 << bit)]], np.uint16)
    source = MaskSource(SourceBand("QA_PIXEL", Path("qa.tif")), "bits", (bit,))
    assert source.hides(values[None]).tolist() == [[False, True, True, False]]


@pytest.mark.parametrize(
    ("profile", "shape", "reason"),
    [
        ({"crs": "EPSG:32633"}, (60, 48), "CRS is EPSG:32633"),
        ({"shift": 0.3}, (60, 48), "lies 0.3 pixels off"),
        ({"pixel": 15}, (40, 32), "1.5 times as large"),
        ({}, (60, 40), "covers only a part"),
    ],
)
def test_a_mask_on_another_grid_is_an_error(
    tmp_path: Path, write_raster: WriteRaster, profile: dict[str, object], shape: tuple[int, int], reason: str
) -> None:
    from rasterio.transform import from_origin

    product, _ = write_safe(tmp_path)
    pixel, shift = float(profile.get("pixel", 10)), float(profile.get("shift", 0))
    place = {
        "crs": profile.get("crs", "EPSG:32632"),
        "transform": from_origin(600_000 + 10 * shift, 5_000_040, pixel, pixel),
    }
    mask = write_raster(tmp_path / "clouds.tif", np.zeros(shape, np.uint8), **place)
    with pytest.raises(RasterError, match=rf"clouds\.tif: lies on another grid than the scene \(.*{reason}"):
        masked_validity(product, mask=str(mask), mask_values=[1])


L1C = [("02.14", None), ("04.00", -1000)]
"""Baselines with cloud polygons and with cloud layers, and their offsets."""


def cloud_classes(shape: tuple[int, int]) -> np.ndarray:
    """Classes of pixels of 60 m: opaque clouds with holes, cirrus beside them, and snow."""
    classes = np.zeros(shape, np.uint8)
    classes[1:6, 1:6], classes[3, 2:4], classes[4, 5] = 1, 0, 2
    classes[0, 7], classes[7:, 3], classes[8, 8:] = 1, 2, 3
    return classes


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("values", [None, [2]])
@pytest.mark.parametrize(("baseline", "offset"), L1C)
def test_clouds_of_the_mask_of_an_l1c_product_are_invalid(
    tmp_path: Path, baseline: str, offset: int | None, values: list[int] | None, zipped: bool
) -> None:
    clouds, size = cloud_classes((10, 11)), (59, 63)
    path, stored = write_safe(tmp_path, Safe("L1C", baseline, offset, size=size, clouds=clouds), zipped)
    valid = masked_validity(path, mask="auto", mask_values=values)
    clear = ~np.isin(clouds, values or [1, 2]).repeat(6, 0).repeat(6, 1)[: size[0], : size[1]]
    np.testing.assert_array_equal(valid, clear & (stored["B04"] > 0))


@pytest.mark.parametrize(("baseline", "offset"), L1C)
def test_a_cloudless_l1c_product_keeps_all_pixels(tmp_path: Path, baseline: str, offset: int | None) -> None:
    path, stored = write_safe(tmp_path, Safe("L1C", baseline, offset, clouds=np.zeros((10, 8), np.uint8)))
    np.testing.assert_array_equal(masked_validity(path, mask="auto"), stored["B04"] > 0)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("EPSG:8.7:32632", "EPSG:8.7:32633", r"its CRS is .*32633, but the scene is in EPSG:32632"),
        ('srsDimension="2">', 'srsDimension="2">1 ', r"holds a polygon of \d+ coordinates, wanted pairs"),
        ("</eop:Mask>", "", r"not readable as XML metadata"),
    ],
)
def test_damaged_cloud_polygons_are_an_error(tmp_path: Path, old: str, new: str, reason: str) -> None:
    path, _ = write_safe(tmp_path, Safe("L1C", "02.14", None, clouds=cloud_classes((10, 8))))
    mask = next(path.rglob("MSK_CLOUDS_B00.gml"))
    mask.write_text(mask.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(RasterError, match=rf"MSK_CLOUDS_B00\.gml.*: {reason}"):
        masked_validity(path, mask="auto")


def test_an_l1c_mask_that_lacks_a_layer_is_an_error(tmp_path: Path) -> None:
    path, _ = write_safe(tmp_path, Safe("L1C", "04.00", clouds=cloud_classes((10, 8))))
    write_jp2(next(path.rglob("MSK_CLASSI_B00.jp2")), cloud_classes((10, 8)), 60)
    with pytest.raises(RasterError, match=r"MSK_CLASSI_B00\.jp2: has 1 bands, wanted band 2 \(MSK_CLASSI\)"):
        masked_validity(path, mask="auto")


@pytest.mark.parametrize(("baseline", "offset"), L1C)
def test_unknown_classes_of_an_l1c_mask_are_an_error(tmp_path: Path, baseline: str, offset: int | None) -> None:
    path, _ = write_safe(tmp_path, Safe("L1C", baseline, offset, clouds=cloud_classes((10, 8))))
    with pytest.raises(RasterError, match=r"--mask-values is \[8\]; wanted some of 1 opaque cloud, 2 cirrus"):
        masked_validity(path, mask="auto", mask_values=[8])


def test_an_automatic_mask_of_a_product_without_quality_band_is_an_error(tmp_path: Path) -> None:
    product, _ = write_safe(tmp_path, Safe("L1C"))
    with pytest.raises(RasterError, match=r"has no quality band .* --mask=FILE"):
        masked_validity(product, mask="auto")


def test_mask_values_need_a_mask_and_a_mask_file_needs_values() -> None:
    with pytest.raises(ConfigError, match="and the option --mask"):
        MaskSettings(mask_values=[3])
    with pytest.raises(ConfigError, match="wanted --mask-values"):
        MaskSettings(mask="clouds.tif")
