import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from seg.errors import ConfigError
from seg.raster.grid import open_raster
from seg.raster.sources import image_files, input_files, require_apart
from seg.raster.writing.vrt import write_window_vrt

WriteRaster = Callable[..., Path]


@pytest.fixture
def scene(write_raster: WriteRaster, tmp_path: Path) -> Path:
    return write_raster(tmp_path / "scene.tif", np.ones((8, 9), np.uint8))


def vrt_of(source: Path, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    with open_raster(source) as dataset:
        write_window_vrt(path, dataset, Window(0, 0, dataset.width, dataset.height))
    return path


def nested(scene: Path) -> Path:
    return vrt_of(vrt_of(scene, scene.with_name("inner.vrt")), scene.parent / "outer" / "outer.vrt")


def named_like_a_tiff(scene: Path) -> Path:
    return vrt_of(
        vrt_of(scene, scene.with_name("inner.vrt")).rename(scene.with_name("inner.tif")), scene.with_suffix(".vrt")
    )


def linked(scene: Path) -> Path:
    link = scene.with_name("link.vrt")
    link.symlink_to(nested(scene))
    return link


INPUTS = {
    "the file": lambda scene: scene,
    "another spelling": lambda scene: scene.parent / "." / "x" / ".." / scene.name,
    "a VRT": lambda scene: vrt_of(scene, scene.with_suffix(".vrt")),
    "a VRT in a VRT": nested,
    "a VRT that is named like a GeoTIFF": named_like_a_tiff,
    "a link to a VRT": linked,
    "one of GDAL's names": lambda scene: Path(f"GTIFF_DIR:1:{scene}"),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_an_output_that_an_input_refers_to_is_refused(scene: Path, kind: str) -> None:
    (scene.parent / "x").mkdir()
    with pytest.raises(ConfigError, match=r"scene\.tif: .*inputs?.* and would be overwritten; name another output"):
        require_apart([scene], [None, INPUTS[kind](scene)])


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_an_output_that_is_a_link_to_a_source_is_refused(scene: Path, link: Callable[[Path, Path], None]) -> None:
    link(scene, scene.with_name("link.tif"))
    with pytest.raises(
        ConfigError, match=r"link\.tif: is the same file as the input .*scene\.tif and would be overwritten"
    ):
        require_apart([scene.with_name("link.tif")], [nested(scene)])


def test_archive_and_sidecars_belong_to_a_raster(scene: Path) -> None:
    shutil.copy(scene, scene.with_name("scene.tif.ovr"))
    archive = scene.with_name("scenes.zip")
    with zipfile.ZipFile(archive, "w") as file:
        file.write(scene, "scene.tif")
    assert scene.with_name("scene.tif.ovr") in image_files(scene)
    assert input_files([Path(f"/vsizip/{{{archive}}}/scene.tif")]) == [archive]


def test_new_outputs_and_unrelated_files_are_accepted(scene: Path, write_raster: WriteRaster) -> None:
    other = write_raster(scene.with_name("other.tif"), np.ones((8, 9), np.uint8))
    require_apart([other, scene.with_name("new.tif")], [nested(scene), scene.with_name("absent.tif"), scene.parent])


def test_unreadable_inputs_and_vrts_that_refer_to_themselves_are_accepted(scene: Path) -> None:
    text = scene.with_name("parcels.geojson")
    text.write_text("{}")
    loop = vrt_of(scene, scene.with_name("loop.vrt"))
    loop.write_text(loop.read_text().replace("scene.tif", "loop.vrt"))
    require_apart([scene], [text, loop])
