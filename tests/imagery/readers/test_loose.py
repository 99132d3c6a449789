from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from seg.errors import ConfigError, RasterError
from seg.imagery.readers.loose import band_files, loose_product
from seg.imagery.scene import write_scene
from seg.raster.chips import Reading, read_chip, whole
from seg.raster.grid import open_raster, read_grid, require_same_grid

WriteRaster = Callable[..., Path]
SHAPE = (5, 7)
FILL = [-1.0, -1.0, -1.0]


def stack(output: Path, files: dict[str, Path]) -> None:
    write_scene(loose_product(output, files), output)


@pytest.fixture
def bands(write_raster: WriteRaster, tmp_path: Path) -> dict[str, np.ndarray]:
    """The pixels of a folder `bands` with B2, B3 and B10; each band holds nodata, 0, in one pixel at another place."""
    random = np.random.default_rng(0)
    pixels = {name: random.integers(1, 999, SHAPE).astype(np.uint16) for name in ("B2", "B3", "B10")}
    for place, (name, values) in enumerate(pixels.items()):
        values[place, place] = 0
        write_raster(tmp_path / "bands" / f"LC08_{name}_SR.TIF", values, nodata=0)
    return pixels


def test_a_chip_of_a_stack_has_the_pixels_and_validity_of_the_files(
    bands: dict[str, np.ndarray], tmp_path: Path
) -> None:
    stack(tmp_path / "scene.vrt", band_files(tmp_path / "bands"))
    with open_raster(tmp_path / "scene.vrt") as scene:
        chip = read_chip(scene, whole(scene), Reading([3, 1, 2], FILL))
    wanted = np.stack([bands[name] for name in ("B10", "B2", "B3")])
    valid = (wanted > 0).all(axis=0)
    np.testing.assert_array_equal(chip.valid, valid)
    np.testing.assert_array_equal(chip.image[:, valid], wanted[:, valid])
    assert valid.sum() == valid.size - 3


@pytest.mark.usefixtures("bands")
def test_a_stack_names_its_bands_and_keeps_nodata_type_and_grid(tmp_path: Path) -> None:
    files = band_files(tmp_path / "bands")
    stack(tmp_path / "scene.vrt", files)
    with open_raster(tmp_path / "scene.vrt") as scene:
        assert scene.descriptions == ("B2", "B3", "B10")
        assert scene.nodatavals == (0, 0, 0)
        assert scene.dtypes == ("uint16",) * 3
    require_same_grid(read_grid(tmp_path / "scene.vrt"), read_grid(files["B2"]))


def test_stack_and_files_may_be_moved_together(bands: dict[str, np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "bands" / "stacks").mkdir()
    stack(tmp_path / "bands" / "stacks" / "scene.vrt", band_files(tmp_path / "bands"))
    (tmp_path / "bands").rename(tmp_path / "moved")
    with open_raster(tmp_path / "moved" / "stacks" / "scene.vrt") as scene:
        np.testing.assert_array_equal(scene.read(1), bands["B2"])


def test_a_stack_keeps_the_scale_offset_and_tags_of_each_file(tmp_path: Path, write_raster: WriteRaster) -> None:
    for name, scale in (("red", 0.5), ("nir", 0.25)):
        with rasterio.open(write_raster(tmp_path / f"{name}.tif", np.ones(SHAPE, np.uint16)), "r+") as dataset:
            dataset.scales, dataset.offsets = (scale,), (-1.0,)
            dataset.update_tags(1, wavelength=name)
    stack(tmp_path / "scene.vrt", band_files(tmp_path, ["red", "nir"]))
    with open_raster(tmp_path / "scene.vrt") as scene:
        assert (scene.scales, scene.offsets) == ((0.5, 0.25), (-1.0, -1.0))
        assert [scene.tags(band)["wavelength"] for band in (1, 2)] == ["red", "nir"]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["T32UNE_B02_10m.jp2", "T32UNE_B8A_10m.jp2", "T32UNE_B11_10m.jp2"], ["B02", "B8A", "B11"]),
        (["red.tif", "nir.tif"], ["nir", "red"]),
        (["LC08_SR_B10.TIF", "LC08_SR_B2.TIF", "LC08_QA_PIXEL.TIF"], ["QA_PIXEL", "SR_B2", "SR_B10"]),
        (["a_red.tif"], ["a_red"]),
        (["a.tif", "a_b.tif"], ["a", "a_b"]),
    ],
)
def test_a_band_is_named_by_the_unique_part_of_its_file_name(
    tmp_path: Path, files: list[str], names: list[str]
) -> None:
    for name in [*files, "readme.txt", "older.vrt", "a.tif.aux.xml"]:
        (tmp_path / name).touch()
    assert list(band_files(tmp_path)) == names


def test_bands_may_be_chosen_in_another_order_and_case(tmp_path: Path) -> None:
    for name in ("x_B02.tif", "x_B03.tif", "x_TCI.tif"):
        (tmp_path / name).touch()
    chosen = band_files(tmp_path, ["b03", "B02"])
    assert list(chosen.items()) == [("B03", tmp_path / "x_B03.tif"), ("B02", tmp_path / "x_B02.tif")]


@pytest.mark.parametrize(
    ("files", "bands", "problem"),
    [
        ([], None, r"holds no raster; wanted one for each band, ending in \.tif"),
        (["red.tif", "red.jp2"], None, r"red\.tif: would be band red, like red\.jp2; move one"),
        (["red.tif", "nir.tif"], ["blue"], r"has no band blue; choose each name once with --bands among nir, red"),
        (["red.tif", "nir.tif"], ["red", "RED"], r"--bands is \[red,RED\]; choose each name once"),
    ],
)
def test_missing_or_ambiguous_bands_are_refused(
    tmp_path: Path, files: list[str], bands: list[str] | None, problem: str
) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(RasterError, match=problem):
        band_files(tmp_path, bands)


@pytest.mark.parametrize(
    ("shape", "dtype", "profile", "problem"),
    [
        ((6, 7), "uint16", {}, r"b\.tif: size is 7x6, but .*a\.tif has 7x5"),
        (SHAPE, "uint16", {"crs": "EPSG:32632"}, r"b\.tif: CRS is EPSG:32632, but"),
        (SHAPE, "uint16", {"transform": Affine(10, 0, 500_010, 0, -10, 5_000_000)}, r"b\.tif: lies up to 1 pixels off"),
        (SHAPE, "uint8", {}, r"b\.tif: holds uint8, but .*a\.tif holds uint16; wanted one data type in all bands"),
        (SHAPE, "uint16", {"mask": np.eye(*SHAPE)}, r"b\.tif: has a mask file, .* declare a nodata value"),
    ],
)
def test_files_of_other_grids_or_types_or_with_a_mask_are_refused(
    tmp_path: Path,
    write_raster: WriteRaster,
    shape: tuple[int, ...],
    dtype: str,
    profile: dict[str, object],
    problem: str,
) -> None:
    write_raster(tmp_path / "a.tif", np.ones(SHAPE, np.uint16))
    write_raster(tmp_path / "b.tif", np.ones(shape, dtype), **profile)
    with pytest.raises(RasterError, match=problem):
        stack(tmp_path / "scene.vrt", band_files(tmp_path))
    assert not (tmp_path / "scene.vrt").exists()


@pytest.mark.parametrize(
    ("name", "problem"), [("scene.png", "ends in .vrt or .tif"), ("absent/scene.vrt", "does not exist")]
)
@pytest.mark.usefixtures("bands")
def test_an_invalid_output_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        stack(tmp_path / name, band_files(tmp_path / "bands"))
