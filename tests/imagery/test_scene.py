"""Scenes of products: grids, files of the output, COGs and wrong inputs."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import from_origin

from seg.errors import ConfigError, RasterError
from seg.imagery.readers.loose import loose_files
from seg.imagery.recognition import open_product
from seg.imagery.scene import write_scene
from seg.imagery.settings import MaskSettings, SceneSettings
from seg.raster.grid import open_raster, read_grid
from seg.raster.sources import image_files
from support.products import Safe, write_safe

WriteRaster = Callable[..., Path]
CORNER = (600_000, 5_000_040)


@pytest.mark.parametrize(("fine", "coarse", "shift"), [(10, 20, 0), (10, 60, 0), (15, 30, -7.5), (10, 30, 5)])
def test_a_coarse_band_is_displaced_by_less_than_a_hundredth_of_a_pixel(
    tmp_path: Path, write_raster: WriteRaster, fine: int, coarse: int, shift: float
) -> None:
    """Both bands sample the same inclined plane, so a displacement shows as a difference of their values."""
    slope = 40.0  # per metre, in both directions
    files = []
    for name, size, left in (("a_fine", fine, CORNER[0]), ("a_coarse", coarse, CORNER[0] + shift)):
        count = 720 // size
        middle = (np.arange(count) + 0.5) * size + left - CORNER[0]
        plane = slope * (middle[None] + middle[:, None])
        place = {"crs": "EPSG:32632", "transform": from_origin(left, CORNER[1] - (left - CORNER[0]), size, size)}
        files.append(write_raster(tmp_path / f"{name}.tif", np.rint(plane).astype(np.int32), **place, nodata=-1))
    write_scene(loose_files(files), tmp_path / "scene.vrt")
    with open_raster(tmp_path / "scene.vrt") as scene:
        assert scene.transform == from_origin(*CORNER, fine, fine)
        reference, found = scene.read().astype(float)
    edge = 2 * coarse // fine  # Interpolation is not linear beyond the centres of the outer pixels.
    apart = np.abs(found - reference)[edge:-edge, edge:-edge].max() / (2 * slope * fine)
    assert apart < 0.01


@pytest.mark.parametrize("side", [7, 16])
def test_reading_by_windows_gives_the_same_pixels_as_reading_the_whole_scene(tmp_path: Path, side: int) -> None:
    from rasterio.windows import Window

    path, _ = write_safe(tmp_path, Safe(size=(61, 49)))
    write_scene(open_product(path), tmp_path / "scene.vrt")
    with open_raster(tmp_path / "scene.vrt") as scene:
        whole = scene.read()
    with open_raster(tmp_path / "scene.vrt") as scene:
        for row in range(0, 61, side):
            for column in range(0, 49, side):
                window = Window(column, row, min(side, 49 - column), min(side, 61 - row))
                np.testing.assert_array_equal(scene.read(window=window), whole[:, *window.toslices()])


def test_fine_bands_are_averaged_on_a_coarser_grid(tmp_path: Path, write_raster: WriteRaster) -> None:
    values = np.random.default_rng(0).integers(0, 900, (12, 18)).astype(np.uint16)
    place = {"crs": "EPSG:32632", "transform": from_origin(*CORNER, 10, 10)}
    file = write_raster(tmp_path / "red.tif", values, **place)
    write_scene(loose_files([file]), tmp_path / "scene.vrt", SceneSettings(resolution=30.0))
    with open_raster(tmp_path / "scene.vrt") as scene:
        assert scene.transform == from_origin(*CORNER, 30, 30)
        mean = values.reshape(4, 3, 6, 3).mean(axis=(1, 3))
        assert np.abs(scene.read(1) - mean).max() <= 0.5


def test_the_provider_s_band_of_the_wanted_pixel_size_is_used(tmp_path: Path) -> None:
    path, stored = write_safe(tmp_path)
    scene = write_scene(open_product(path), tmp_path / "x.vrt", SceneSettings(bands=["B11"], resolution=20.0))
    assert scene.grid.pixel_size == (20, 20)
    with open_raster(tmp_path / "x.vrt") as dataset:
        wanted = np.where(stored["B11"] > 0, stored["B11"].astype(int) - 1000, -32768)
        np.testing.assert_array_equal(dataset.read(1), wanted)


def test_a_product_and_its_scene_may_be_moved_together(tmp_path: Path) -> None:
    path, stored = write_safe(tmp_path / "here")
    write_scene(open_product(path), tmp_path / "here" / "x.vrt", SceneSettings(bands=["B04", "B11"]))
    (tmp_path / "here").rename(tmp_path / "there")
    with open_raster(tmp_path / "there" / "x.vrt") as scene:
        assert (scene.read(1)[stored["B04"] == 0] == -32768).all()
        assert (scene.read(2) != -32768).any()
    read_grid(tmp_path / "there" / "x.vrt")


def test_a_cog_holds_the_pixels_of_the_scene_and_nodata_under_the_mask(tmp_path: Path) -> None:
    path, _ = write_safe(tmp_path, Safe(scl=np.random.default_rng(0).integers(0, 12, (30, 24))))
    settings, masking = SceneSettings(bands=["red", "B11"]), MaskSettings("auto")
    write_scene(open_product(path), tmp_path / "x.vrt", settings, masking)
    write_scene(open_product(path), tmp_path / "y.tif", settings, masking)
    with open_raster(tmp_path / "x.vrt") as scene, open_raster(tmp_path / "y.tif") as cog:
        clear = scene.read_masks(1) > 0
        np.testing.assert_array_equal(cog.read(), np.where(clear, scene.read(), -32768))
        assert (cog.descriptions, cog.scales, cog.nodata) == (scene.descriptions, scene.scales, -32768)
        assert cog.tags()["PRODUCT"] == scene.tags()["PRODUCT"]
        assert cog.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file()) == [
        "x.B11.bands",
        "x.msk",
        "x.vrt",
        "y.tif",
    ]


def test_a_missing_mask_or_nodata_file_of_a_scene_is_an_error(tmp_path: Path) -> None:
    path, _ = write_safe(tmp_path)
    write_scene(open_product(path), tmp_path / "x.vrt", SceneSettings(bands=["B04", "B11"]), MaskSettings("auto"))
    for name in ("x.msk", "x.B11.bands"):
        (tmp_path / name).rename(tmp_path / "away")
        with pytest.raises(RasterError, match=rf"its source file .*{name} cannot be opened"):
            read_grid(tmp_path / "x.vrt")
        (tmp_path / "away").rename(tmp_path / name)
    assert tmp_path / "x.msk" in image_files(tmp_path / "x.vrt")


def test_a_band_that_covers_only_a_part_of_the_scene_must_declare_nodata(
    tmp_path: Path, write_raster: WriteRaster
) -> None:
    for name, size in (("a_red", 10), ("a_nir", 20)):
        write_raster(
            tmp_path / "bands" / f"{name}.tif",
            np.ones((5, 5), np.uint8),
            transform=from_origin(*CORNER, size, size) @ type(from_origin(0, 0, 1, 1)).translation(size == 20, 0),
        )
    with pytest.raises(RasterError, match=r"a_nir\.tif: covers only a part of .*a_red\.tif and declares no nodata"):
        write_scene(open_product(tmp_path / "bands"), tmp_path / "x.vrt")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (("<PROCESSING_BASELINE>05.11", "<PROCESSING_BASELINE>06.00"), "processing baseline is 06.00; wanted 02.04 to"),
        (("<PROCESSING_BASELINE>05.11", "<PROCESSING_BASELINE>"), "processing baseline is missing"),
        (("BOA_ADD_OFFSET", "OTHER"), "lists no offset, wanted one for each band"),
        ((">10000<", ">ten<"), "the quantification value of its metadata is ten, wanted a number"),
        (("<n1:", "<n2:"), "not readable as XML metadata"),
        (("<n1:Level", '<!DOCTYPE a [<!ENTITY b "c">]><n1:Level'), "document type definition"),
    ],
)
def test_wrong_metadata_is_an_error(tmp_path: Path, damage: tuple[str, str], problem: str) -> None:
    path, _ = write_safe(tmp_path, Safe(bands=("B04",)))
    metadata = path / "MTD_MSIL2A.xml"
    metadata.write_text(metadata.read_text().replace(*damage, 1 if damage[0].startswith("<n1:Level") else -1))
    with pytest.raises(RasterError, match=problem):
        open_product(path)


def test_a_missing_granule_is_an_error(tmp_path: Path) -> None:
    path, _ = write_safe(tmp_path, Safe(bands=("B04",)))
    (path / "GRANULE").rename(tmp_path / "GRANULE")
    with pytest.raises(RasterError, match="holds no granule with images, wanted one in its folder GRANULE"):
        open_product(path)


def test_locked_damaged_and_unknown_archives_are_errors(tmp_path: Path) -> None:
    path, _ = write_safe(tmp_path, Safe(bands=("B04",)), zipped=True)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")  # Header of the last file in the directory of the archive.
    content[place + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(content)
    (tmp_path / "cut.zip").write_bytes(content[:-100])
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "no product")
    for name, problem in (
        ("locked", "protected by a password"),
        ("cut", "not a readable ZIP"),
        ("other", "holds no known product"),
    ):
        with pytest.raises(RasterError, match=rf"{name}\.zip: .*{problem}"):
            open_product(tmp_path / f"{name}.zip")


def test_an_output_that_is_a_file_of_the_product_is_refused(tmp_path: Path, write_raster: WriteRaster) -> None:
    file = write_raster(tmp_path / "a.tif", np.ones((3, 3), np.uint8))
    with pytest.raises(ConfigError, match="is one of the inputs"):
        write_scene(open_product(file), file)
