import math
from pathlib import Path

import numpy as np
import pytest

from seg.errors import RasterError
from seg.imagery.recognition import open_product
from seg.imagery.scene import write_scene
from seg.imagery.settings import MaskSettings, SceneSettings
from seg.raster.grid import open_raster
from support.products import Landsat, write_landsat


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", ["txt", "json", "xml"])
def test_surface_reflectance_has_the_scale_and_offset_of_the_metadata(tmp_path: Path, form: str, packed: bool) -> None:
    path, stored = write_landsat(tmp_path, Landsat(form=form), packed)
    write_scene(open_product(path), tmp_path / "scene.vrt", SceneSettings(bands=["red", "B5", "ST_B10"]))
    with open_raster(tmp_path / "scene.vrt") as scene:
        pixels, tags = scene.read(), scene.tags()
        assert scene.descriptions == ("red", "B5", "ST_B10")
        np.testing.assert_allclose(scene.scales, (1e-4, 1e-4, 0.1))
    known = stored["4"] > 0
    for found, band in ((pixels[0], "4"), (pixels[1], "5")):
        wanted = (stored[band] * 2.75e-5 - 0.2) * 10_000
        assert np.abs(found - wanted)[known].max() <= 0.5 + 1e-3
        assert (found[~known] == -32768).all()
    assert np.abs(pixels[2] - (stored["ST_B10"] * 0.00341802 + 149) * 10)[known].max() <= 0.5 + 1e-3
    assert (tags["SENSOR"], tags["LEVEL"], tags["DATE"]) == ("Landsat 8", "L2SP", "2024-05-18T13:33:41Z")
    assert tags["CLOUD_COVER"] == "7.25"


def test_level_1_is_corrected_for_the_elevation_of_the_sun(tmp_path: Path) -> None:
    path, stored = write_landsat(tmp_path, Landsat("L1TP", sun=30.0))
    write_scene(open_product(path), tmp_path / "scene.vrt", SceneSettings(bands=["B3"]))
    with open_raster(tmp_path / "scene.vrt") as scene:
        pixels = scene.read(1)
    wanted = (stored["3"] * 2e-5 - 0.1) / math.sin(math.radians(30)) * 10_000
    known = stored["3"] > 0
    assert np.abs(pixels - wanted)[known].max() <= 0.5 + 1e-3


@pytest.mark.parametrize("values", [None, [0], [7], [9, 5]])
def test_bits_of_the_quality_band_mask_pixels(tmp_path: Path, values: list[int] | None) -> None:
    quality = np.random.default_rng(0).integers(0, 65_536, (23, 31)).astype(np.uint16)
    path, _ = write_landsat(tmp_path, Landsat(quality=quality))
    scene = write_scene(
        open_product(path), tmp_path / "x.vrt", SceneSettings(bands=["B3"]), MaskSettings("auto", values)
    )
    hidden = np.zeros(quality.shape, bool)
    for bit in values or [1, 2, 3, 4]:
        hidden |= (quality >> bit) % 2 == 1
    with open_raster(tmp_path / "x.vrt") as dataset:
        np.testing.assert_array_equal(dataset.dataset_mask() > 0, ~hidden)
    assert scene.hidden == hidden.mean()


def test_another_collection_is_an_error(tmp_path: Path) -> None:
    path, _ = write_landsat(tmp_path)
    metadata = next(path.glob("*_MTL.txt"))
    metadata.write_text(metadata.read_text().replace('COLLECTION_NUMBER = "02"', 'COLLECTION_NUMBER = "01"'))
    with pytest.raises(RasterError, match="collection number is 01; wanted 02"):
        open_product(path)
