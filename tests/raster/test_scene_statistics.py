from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.raster import scene_statistics as module
from seg.raster.chips import Reading, whole
from seg.raster.grid import open_raster
from seg.raster.scene_statistics import MatchedScenes, scene_statistics

WriteRaster = Callable[..., Path]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(2, H, W) uint16 values from 500 to 1500."""
    return np.random.default_rng(seed).integers(500, 1500, (2, height, width)).astype(np.uint16)


def test_a_small_scene_is_measured_as_a_whole(write_raster: WriteRaster, tmp_path: Path) -> None:
    image = noise(300, 400)
    image[:, 50:100] = 0
    found = scene_statistics(write_raster(tmp_path / "a.tif", image, nodata=0), [2, 1], None)
    valid = image[::-1, image[0] > 0].astype(np.float64)
    assert found.mean == pytest.approx(valid.mean(axis=1), rel=1e-6)
    assert found.std == pytest.approx(valid.std(axis=1), rel=1e-6)
    assert found.count == valid.shape[1]


def test_reading_stops_when_enough_pixels_are_valid(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SIDE", 16)
    monkeypatch.setattr(module, "ENOUGH", 5 * 16 * 16)
    scene = write_raster(tmp_path / "a.tif", noise(160, 160))
    first = scene_statistics(scene, [1, 2], None)
    assert first.count == 5 * 16 * 16
    assert scene_statistics(scene, [1, 2], None) == first


def test_a_scene_without_valid_pixels_has_neutral_statistics(write_raster: WriteRaster, tmp_path: Path) -> None:
    scene = write_raster(tmp_path / "a.tif", np.full((2, 9, 9), 7, np.uint16))
    found = scene_statistics(scene, [1, 2], nodata=7)
    assert (found.mean, found.std, found.count) == ((0, 0), (1, 1), 0)


def test_a_band_of_a_missing_date_has_neutral_statistics(write_raster: WriteRaster, tmp_path: Path) -> None:
    image = noise(8, 8)
    image[1] = 0
    names = "red@2024-05-01", "red@2024-08-01"
    found = scene_statistics(write_raster(tmp_path / "a.tif", image, descriptions=names), [1, 2], nodata=0)
    assert (found.mean[1], found.std[1]) == (0, 1)
    assert found.mean[0] == pytest.approx(image[0].mean())


def test_scenes_in_other_units_are_matched_to_the_same_values(write_raster: WriteRaster, tmp_path: Path) -> None:
    image = noise(20, 30)
    image[:, 0, :4] = 0
    plain = write_raster(tmp_path / "a.tif", image, nodata=0)
    other = write_raster(tmp_path / "b.tif", np.where(image, image * 1e-4 - 0.1, np.nan).astype(np.float32))
    scenes = MatchedScenes(Reading([1, 2], [80.0, 90.0]), [10.0, 20.0])
    chips = []
    for scene in (plain, other):
        with open_raster(scene) as dataset:
            chips.append(scenes.read(dataset, scene, whole(dataset)))
    one, same = chips
    np.testing.assert_allclose(one.image, same.image, atol=1e-3)
    np.testing.assert_allclose(one.image[:, one.valid].mean(axis=1), [80, 90], rtol=1e-5)
    np.testing.assert_allclose(one.image[:, one.valid].std(axis=1), [10, 20], rtol=1e-5)
    assert not one.valid[0, :4].any()
    assert one.image[:, 0, 0].tolist() == [80, 90]
