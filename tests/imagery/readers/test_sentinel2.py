from pathlib import Path

import numpy as np
import pytest

from seg.errors import RasterError
from seg.imagery.recognition import open_product
from seg.imagery.scene import write_scene
from seg.imagery.settings import SceneSettings
from seg.raster.grid import open_raster
from support.products import LEFT, TOP, Safe, write_safe


def stored_scene(product: Path, **settings: object) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and validity of the scene of a product, each (C, H, W)."""
    output = product.parent / "scene.vrt"
    write_scene(open_product(product), output, SceneSettings(**settings))
    with open_raster(output) as scene:
        return scene.read(), scene.read_masks() > 0


def enlarged(band: np.ndarray, factor: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear interpolation between pixel centres, which leaves out pixels of value 0; and its validity."""
    known = (band > 0).astype(float)

    def weights(size: int, count: int) -> np.ndarray:
        position = (np.arange(size) + 0.5) / factor - 0.5
        lower = np.floor(position).astype(int)
        found = np.zeros((size, count))
        for place, share in ((lower, 1 - position + lower), (lower + 1, position - lower)):
            np.add.at(found, (np.arange(size), place.clip(0, count - 1)), share)
        return found

    down, across = weights(shape[0], band.shape[0]), weights(shape[1], band.shape[1])
    weight = down @ known @ across.T
    return down @ (band * known) @ across.T / np.maximum(weight, 1e-9), weight > 0


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("level", "baseline", "offset"),
    [("L1C", "02.14", None), ("L2A", "02.14", None), ("L1C", "04.00", -1000), ("L2A", "05.11", -1000)],
)
def test_scaled_values_are_ten_thousandths_of_reflectance(
    tmp_path: Path, level: str, baseline: str, offset: int | None, zipped: bool
) -> None:
    path, stored = write_safe(tmp_path, Safe(level, baseline, offset), zipped)
    pixels, valid = stored_scene(path, bands=["B04", "B11"])
    np.testing.assert_array_equal(valid[0], stored["B04"] > 0)
    np.testing.assert_array_equal(pixels[0][valid[0]], stored["B04"].astype(int)[valid[0]] + (offset or 0))
    wanted, known = enlarged(stored["B11"], 2, pixels[1].shape)
    np.testing.assert_array_equal(valid[1], known)
    assert np.abs(pixels[1] - (wanted + (offset or 0)))[known].max() <= 0.5


def test_each_band_has_its_own_offset(tmp_path: Path) -> None:
    path, stored = write_safe(tmp_path, Safe(offsets={"B8A": -300}))
    pixels, valid = stored_scene(path, bands=["B8A", "B02"], resolution=20.0)
    known = valid[0]
    np.testing.assert_array_equal(pixels[0][known], stored["B8A"].astype(int)[known] - 300)


def test_nodata_stays_nodata_and_never_becomes_an_offset(tmp_path: Path) -> None:
    path, stored = write_safe(tmp_path)
    stored_scene(path)
    with open_raster(tmp_path / "scene.vrt") as scene:
        assert scene.nodatavals == (-32768,) * 5
        assert (scene.read()[:, :, 0] == -32768).all()
        assert (scene.read(2)[stored["B04"] == 0] == -32768).all()


def test_bands_of_20_m_and_10_m_share_their_upper_left_corner(tmp_path: Path) -> None:
    ramp = Safe(bands=("B02", "B11", "B01"), size=(61, 49))
    path, stored = write_safe(tmp_path, ramp)
    pixels, _ = stored_scene(path, bands=["B02", "B11"])
    with open_raster(tmp_path / "scene.vrt") as scene:
        assert (scene.transform.c, scene.transform.f, scene.transform.a) == (LEFT, TOP, 10)
        assert scene.shape == (61, 49)
    wanted, known = enlarged(stored["B11"], 2, (61, 49))
    assert np.abs(pixels[1] - (wanted - 1000))[known].max() <= 0.5


def test_a_scene_has_the_names_of_its_bands_their_scale_and_tags_of_the_product(tmp_path: Path) -> None:
    path, _ = write_safe(tmp_path)
    stored_scene(path, bands=["red", "B8", "swir16"])
    with open_raster(tmp_path / "scene.vrt") as scene:
        assert scene.descriptions == ("red", "B8", "swir16")
        assert scene.scales == (1e-4,) * 3
        assert scene.tags()["DATE"] == "2024-05-11T10:30:31Z"
        assert scene.tags()["CLOUD_COVER"] == "12.5"
        assert scene.tags()["PRODUCT"].startswith("S2B_MSIL2A_20240511T103031_N0511")


def test_a_missing_file_is_an_error_only_if_its_band_is_wanted(tmp_path: Path) -> None:
    path, stored = write_safe(tmp_path, Safe(absent=["B08"]))
    pixels, valid = stored_scene(path, bands=["B04"])
    np.testing.assert_array_equal(pixels[0][valid[0]], stored["B04"].astype(int)[valid[0]] - 1000)
    with pytest.raises(RasterError, match=r"lacks the file .*B08_10m\.jp2 of band nir"):
        stored_scene(path, bands=["nir"])


def test_reflectance_is_stored_as_decimal_numbers_if_wanted(tmp_path: Path) -> None:
    path, stored = write_safe(tmp_path)
    pixels, valid = stored_scene(path, bands=["B02"], units="reflectance")
    known = stored["B02"] > 0
    np.testing.assert_array_equal(valid[0], known)
    np.testing.assert_allclose(pixels[0][known], (stored["B02"].astype(float)[known] - 1000) / 10_000, atol=1e-6)
