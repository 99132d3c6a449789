from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from seg.errors import RasterError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.classes import read_classes, read_percent
from seg.raster.grid import open_raster
from seg.raster.label_mapping import LabelMapping

WriteRaster = Callable[..., Path]


@pytest.fixture
def classes_of(write_raster: WriteRaster, tmp_path: Path) -> Callable[..., np.ndarray]:
    """Function that writes labels with a profile and reads them as classes."""

    def read(labels: object, dtype: str = "uint8", **profile: object) -> np.ndarray:
        with open_raster(write_raster(tmp_path / "mask.tif", np.array(labels, dtype=dtype), **profile)) as dataset:
            return read_classes(dataset)

    return read


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_known_labels_are_uint8_for_any_type(classes_of: Callable[..., np.ndarray], dtype: str) -> None:
    classes = classes_of([[0, 1, 255]], dtype)
    assert (classes.dtype, classes.tolist()) == (np.uint8, [[OTHER, CROPLAND, IGNORE]])


@pytest.mark.parametrize(
    ("values", "dtype", "unknown"),
    [
        ([0, 7, 1], "uint8", "7"),
        ([2, 3, 0], "uint8", "2, 3"),
        ([0, -1], "int16", "-1"),
        ([256, 257, 511], "int16", "256, 257, 511"),
        ([0.5, 1], "float32", r"0\.5"),
        ([1, 1e9], "float64", r"1e\+09"),
    ],
    ids=["7", "several", "-1 wraps to 255", "multiples of 256 wrap", "a half", "huge"],
)
def test_the_error_about_unknown_labels_lists_the_known_ones(
    classes_of: Callable[..., np.ndarray], values: list[float], dtype: str, unknown: str
) -> None:
    known = r"wanted 0 \(other\), 1 \(cropland\) or 255 \(no label"
    with pytest.raises(RasterError, match=rf"mask\.tif: holds the values {unknown}, {known}"):
        classes_of([values], dtype)


@pytest.mark.parametrize(
    ("missing", "dtype", "nodata"), [(-1, "int16", -1), (9, "uint8", 9), (np.nan, "float32", None)]
)
def test_nodata_is_no_label(
    classes_of: Callable[..., np.ndarray], missing: float, dtype: str, nodata: float | None
) -> None:
    assert classes_of([[0, missing, 1]], dtype, nodata=nodata).tolist() == [[OTHER, IGNORE, CROPLAND]]


def test_pixels_hidden_by_an_alpha_band_have_no_label(classes_of: Callable[..., np.ndarray]) -> None:
    layers = [[[0, 0, 1]], [[255, 0, 255]]]
    classes = classes_of(layers, meanings=[ColorInterp.gray, ColorInterp.alpha])
    assert classes.tolist() == [[OTHER, IGNORE, CROPLAND]]


def test_nodata_does_not_disable_the_alpha_band(classes_of: Callable[..., np.ndarray]) -> None:
    layers = [[[0, 0, 1, 9]], [[255, 0, 255, 255]]]
    classes = classes_of(layers, meanings=[ColorInterp.gray, ColorInterp.alpha], nodata=9)
    assert classes.tolist() == [[OTHER, IGNORE, CROPLAND, IGNORE]]


def test_pixels_hidden_by_a_msk_file_have_no_label(classes_of: Callable[..., np.ndarray]) -> None:
    assert classes_of([[0, 0, 1]], mask=[[True, False, True]]).tolist() == [[OTHER, IGNORE, CROPLAND]]


def test_a_msk_file_does_not_disable_nodata(classes_of: Callable[..., np.ndarray]) -> None:
    classes = classes_of([[0, 0, 1, 9]], mask=[[True, False, True, True]], nodata=9)
    assert classes.tolist() == [[OTHER, IGNORE, CROPLAND, IGNORE]]


@pytest.mark.parametrize("nodata", [0, 1])
def test_a_label_declared_as_nodata_is_refused(classes_of: Callable[..., np.ndarray], nodata: int) -> None:
    with pytest.raises(RasterError, match=rf"mask\.tif: nodata is {nodata}, which is also the label"):
        classes_of([[0, 1]], nodata=nodata)


def test_a_window_gives_its_own_labels(write_raster: WriteRaster, tmp_path: Path) -> None:
    with open_raster(write_raster(tmp_path / "mask.tif", np.eye(4, dtype=np.uint8))) as dataset:
        assert read_classes(dataset, Window(1, 2, 2, 1)).tolist() == [[OTHER, CROPLAND]]


def read_mapped(path: Path, labels: LabelMapping) -> list[list[int]]:
    with open_raster(path) as dataset:
        return read_classes(dataset, labels=labels).tolist()


def test_the_mapping_defines_the_values(write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "mask.tif", np.array([[0, 1, 2, 3, 9]], dtype=np.uint8), nodata=9)
    labels = LabelMapping(cropland=(1, 2), ignore=(0,), other="rest")
    assert read_mapped(path, labels) == [[IGNORE, CROPLAND, CROPLAND, OTHER, IGNORE]]


def test_the_error_about_a_value_outside_the_mapping_shows_the_mapping(
    write_raster: WriteRaster, tmp_path: Path
) -> None:
    path = write_raster(tmp_path / "mask.tif", np.array([[0, 1, 2, 3, 4]], dtype=np.uint8))
    said = (
        r"mask\.tif: holds the values 3, 4, wanted the values of labels \(cropland \[1, 2\], other \[0\], "
        r"ignore \[255\]\); add the missing values to labels, or set labels\.other=rest"
    )
    with pytest.raises(RasterError, match=said):
        read_mapped(path, LabelMapping(cropland=(1, 2)))


def test_nodata_may_only_be_a_value_that_the_mapping_ignores(write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "mask.tif", np.array([[0, 1, 2]], dtype=np.uint8), nodata=0)
    labels = LabelMapping(cropland=(2,), ignore=(0, 255), other=(1,))
    assert read_mapped(path, labels) == [[IGNORE, OTHER, CROPLAND]]
    with pytest.raises(RasterError, match=r"nodata is 0, which is also the label 'other'.* name 0 in labels\.ignore"):
        read_mapped(path, LabelMapping(cropland=(2,), other="rest"))
    with pytest.raises(RasterError, match=r"nodata is 0, which is also the label 'cropland'"):
        read_mapped(path, LabelMapping(cropland=(0,), other="rest"))


WINDOW = Window(0, 0, 4, 1)


@pytest.mark.parametrize(
    ("values", "dtype", "nodata"),
    [([0, 57, 100, 255], "uint8", None), ([0, 0.57, 1, np.nan], "float32", None), ([0, 57, 100, -1], "int16", -1)],
)
def test_percents_and_shares_are_read_equally(
    write_raster: Callable[..., Path], tmp_path: Path, values: list[float], dtype: str, nodata: float | None
) -> None:
    path = write_raster(tmp_path / "percent.tif", np.array([values], dtype=dtype), nodata=nodata)
    with open_raster(path) as dataset:
        percent, valid = read_percent(dataset, WINDOW)
    assert valid.tolist() == [[True, True, True, False]]
    assert percent[valid].tolist() == [0, 57, 100]


@pytest.mark.parametrize("value", [101, 200])
def test_values_other_than_percents_are_refused(write_raster: Callable[..., Path], tmp_path: Path, value: int) -> None:
    path = write_raster(tmp_path / "percent.tif", np.array([[0, 1, 2, value]], dtype=np.uint8))
    with open_raster(path) as dataset, pytest.raises(RasterError, match=rf"percent\.tif: holds {value}, wanted"):
        read_percent(dataset, WINDOW)
