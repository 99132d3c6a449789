import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from seg.errors import RasterError
from seg.raster.sources import scene_version

WriteRaster = Callable[..., Path]


@pytest.fixture
def scene(write_raster: WriteRaster, tmp_path: Path) -> Path:
    return write_raster(tmp_path / "scene.tif", np.ones((2, 3), np.uint8), mask=np.ones((2, 3), bool))


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def test_an_unchanged_scene_keeps_its_version(scene: Path) -> None:
    assert scene_version(scene) == scene_version(scene)


@pytest.mark.parametrize("name", ["scene.tif", "scene.tif.msk"])
def test_a_rewritten_file_has_another_version(scene: Path, name: str) -> None:
    before = scene_version(scene)
    touch(scene.with_name(name))
    assert scene_version(scene) != before


@pytest.mark.parametrize("levels", [1, 2])
def test_a_rewritten_source_of_a_mosaic_gives_another_version(scene: Path, levels: int) -> None:
    mosaic = scene
    for level in range(levels):
        inner, mosaic = mosaic, scene.with_name(f"mosaic_{level}.vrt")
        rasterio.shutil.copy(inner, mosaic, driver="VRT")
    before = scene_version(mosaic)
    touch(scene)
    assert scene_version(mosaic) != before


@pytest.mark.parametrize("name", ["scene.tif.aux.xml", "scene.tif.ovr"])
def test_files_of_viewers_do_not_change_the_version(scene: Path, name: str) -> None:
    before = scene_version(scene)
    if name.endswith(".ovr"):
        shutil.copyfile(scene, scene.with_name(name))
    else:
        scene.with_name(name).write_text("<PAMDataset></PAMDataset>")
    with rasterio.open(scene) as dataset:
        assert str(scene.with_name(name)) in dataset.files
    assert scene_version(scene) == before


def test_a_missing_file_has_no_version(tmp_path: Path) -> None:
    assert scene_version(tmp_path / "none.tif") is None


def test_a_file_that_is_not_a_raster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("this is no raster")
    with pytest.raises(RasterError, match="not a readable raster"):
        scene_version(tmp_path / "text.tif")


def test_a_scene_in_an_archive_has_the_version_of_the_archive(scene: Path) -> None:
    archive = scene.with_name("scenes.zip")
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(scene, scene.name)
    inside = Path(f"/vsizip/{archive}/{scene.name}")
    before = scene_version(inside)
    touch(archive)
    assert before != scene_version(inside) is not None
