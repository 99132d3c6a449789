from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from seg.raster.chips import Reading, read_chip, whole
from seg.raster.grid import open_raster
from seg.raster.writing.vrt import GDAL_TYPES, write_window_vrt

WriteRaster = Callable[..., Path]
WINDOW = Window(3, 2, 7, 5)
RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


def pixels(bands: int, dtype: str = "uint16") -> NDArray[np.generic]:
    return np.random.default_rng(0).integers(0, 9, (bands, 12, 15)).astype(dtype)


def cut(source: Path, folder: Path) -> Path:
    """A VRT of WINDOW in another folder than its source."""
    folder.mkdir(exist_ok=True)
    with open_raster(source) as dataset:
        write_window_vrt(folder / "cut.vrt", dataset, WINDOW)
    return folder / "cut.vrt"


def assert_same_chip(source: Path, vrt: Path, bands: list[int]) -> None:
    fill = [-1.0] * len(bands)
    with open_raster(source) as whole_scene, open_raster(vrt) as part:
        reading = Reading(bands, fill)
        wanted, got = read_chip(whole_scene, WINDOW, reading), read_chip(part, whole(part), reading)
    assert 0 < wanted.valid.sum() < wanted.valid.size
    np.testing.assert_array_equal(got.image, wanted.image)
    np.testing.assert_array_equal(got.valid, wanted.valid)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_pixels_and_nodata_equal_the_window(tmp_path: Path, write_raster: WriteRaster, dtype: str) -> None:
    source = write_raster(tmp_path / "a.tif", pixels(3, dtype), nodata=4)
    assert_same_chip(source, cut(source, tmp_path / "cuts"), [3, 1])


def test_nan_as_nodata_is_kept(tmp_path: Path, write_raster: WriteRaster) -> None:
    values = np.where(pixels(1) == 4, np.nan, 1.5).astype(np.float32)
    source = write_raster(tmp_path / "a.tif", values, nodata=np.nan)
    vrt = cut(source, tmp_path / "cuts")
    assert_same_chip(source, vrt, [1])
    with open_raster(vrt) as part:
        assert np.isnan(part.nodata)


@pytest.mark.parametrize("nodata", [None, 5])
def test_the_msk_file_still_applies(tmp_path: Path, write_raster: WriteRaster, nodata: float | None) -> None:
    source = write_raster(tmp_path / "a.tif", pixels(2), mask=pixels(1)[0] > 3, nodata=nodata)
    vrt = cut(source, tmp_path / "cuts")
    assert_same_chip(source, vrt, [1, 2])
    with open_raster(source) as one, open_raster(vrt) as other:
        assert other.mask_flag_enums == one.mask_flag_enums


def test_alpha_masks_unless_it_is_read_as_data(tmp_path: Path, write_raster: WriteRaster) -> None:
    source = write_raster(tmp_path / "a.tif", pixels(4, "uint8") % 3, meanings=RGBA, nodata=2)
    vrt = cut(source, tmp_path / "cuts")
    assert_same_chip(source, vrt, [1, 2, 3])
    assert_same_chip(source, vrt, [4, 1])


def test_names_units_scales_and_tags_are_kept_without_statistics(tmp_path: Path, write_raster: WriteRaster) -> None:
    source = write_raster(tmp_path / "a.tif", pixels(2), descriptions=("blue & green", "nir"), nodata=0)
    with rasterio.open(source, "r+") as dataset:
        dataset.update_tags(SENSOR="<S2>")
        dataset.update_tags(1, WAVELENGTH="490", STATISTICS_MEAN="3")
        dataset.scales, dataset.offsets, dataset.units = (0.5, 1), (-3, 0), ("nm", "")
    vrt = cut(source, tmp_path / "cuts")
    with open_raster(source) as one, open_raster(vrt) as other:
        for name in ("descriptions", "scales", "offsets", "nodatavals", "dtypes", "colorinterp", "units"):
            assert getattr(other, name) == getattr(one, name), name
        assert other.tags()["SENSOR"] == "<S2>"
        assert other.tags(1) == {"WAVELENGTH": "490"}


def test_every_colour_interpretation_is_kept(tmp_path: Path, write_raster: WriteRaster) -> None:
    meanings = [meaning for meaning in ColorInterp if meaning is not ColorInterp.palette]
    source = write_raster(tmp_path / "a.tif", pixels(len(meanings)))
    meant = tmp_path / "meant.vrt"
    with open_raster(source) as dataset:
        write_window_vrt(meant, dataset, whole(dataset))
    with rasterio.open(meant, "r+") as dataset:
        dataset.colorinterp = meanings
    with open_raster(meant) as one, open_raster(cut(meant, tmp_path / "cuts")) as other:
        assert other.colorinterp == one.colorinterp
        assert len(set(one.colorinterp)) > 20


def test_a_colour_table_is_kept(tmp_path: Path, write_raster: WriteRaster) -> None:
    source = write_raster(tmp_path / "a.tif", pixels(1, "uint8"), meanings=[ColorInterp.palette])
    with rasterio.open(source, "r+") as dataset:
        dataset.write_colormap(1, {0: (216, 210, 196, 255), 1: (46, 125, 50, 255)})
    with open_raster(source) as one, open_raster(cut(source, tmp_path / "cuts")) as other:
        assert other.colorinterp == one.colorinterp == (ColorInterp.palette,)
        assert other.colormap(1) == one.colormap(1)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32633", Affine(0.1, 0, 500_000.3, 0, -0.1, 5_000_000.7)),
        ("EPSG:4326", Affine(1 / 3600, 0, 15.1, 0, -1 / 3600, 45.1)),
        ("+proj=laea +lat_0=52 +lon_0=10.7 +ellps=GRS80", Affine(7, 3, 1 / 3, 3, -7, 2 / 3)),
    ],
)
def test_the_place_of_a_window_is_exact(tmp_path: Path, write_raster: WriteRaster, crs: str, transform: Affine) -> None:
    source = write_raster(tmp_path / "a.tif", pixels(1), crs=crs, transform=transform)
    with open_raster(source) as one, open_raster(cut(source, tmp_path / "cuts")) as other:
        assert other.crs == one.crs
        assert other.transform == one.transform @ Affine.translation(WINDOW.col_off, WINDOW.row_off)
        assert (other.width, other.height) == (WINDOW.width, WINDOW.height)


def test_windows_of_a_raster_without_georeference_have_no_georeference(
    tmp_path: Path, write_raster: WriteRaster
) -> None:
    source = write_raster(tmp_path / "a.png", pixels(1, "uint8"), driver="PNG", crs=None, transform=Affine.identity())
    with open_raster(cut(source, tmp_path / "cuts")) as part:
        assert part.crs is None
        assert part.transform.is_identity


def test_source_and_windows_may_be_moved_together(tmp_path: Path, write_raster: WriteRaster) -> None:
    source = write_raster(tmp_path / "one" / "a.tif", pixels(2), nodata=4)
    cut(source, tmp_path / "one" / "cuts")
    (tmp_path / "one").rename(tmp_path / "two")
    assert_same_chip(tmp_path / "two" / "a.tif", tmp_path / "two" / "cuts" / "cut.vrt", [1, 2])


def test_a_window_may_be_cut_from_a_window(tmp_path: Path, write_raster: WriteRaster) -> None:
    source = write_raster(tmp_path / "a.tif", np.tile(pixels(2), (1, 2, 2)), nodata=4)
    with open_raster(source) as dataset:
        write_window_vrt(tmp_path / "b.vrt", dataset, Window(1, 1, 20, 20))
    assert_same_chip(tmp_path / "b.vrt", cut(tmp_path / "b.vrt", tmp_path / "cuts"), [1, 2])


def test_all_real_data_types_are_supported() -> None:
    assert {"uint8", "uint16", "int16", "float32", "float64", "int8", "uint32", "int32"} <= set(GDAL_TYPES)
