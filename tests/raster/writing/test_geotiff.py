from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from seg.errors import RasterError, WriteError
from seg.labels import CROPLAND, IGNORE, LABEL_COLOURS
from seg.raster.writing.geotiff import Annotation, Georeference, write_geotiff

PLACE = Georeference(CRS.from_epsg(32632), Affine(10.0, 0.0, 600_000.0, 0.0, -10.0, 5_000_000.0))
MASK = np.array([[0, CROPLAND], [IGNORE, 0], [CROPLAND, CROPLAND]], dtype=np.uint8)


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    """A folder that cannot be written; for root, who ignores permission bits, /proc."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    try:
        (folder / "probe").touch()
    except PermissionError:
        return folder
    if not Path("/proc/self").is_dir():
        pytest.skip("root may write anywhere here")
    return Path("/proc")


@settings(max_examples=40, deadline=None)
@given(
    pixels=st.sampled_from(["uint8", "int16", "uint16", "int32", "float32", "float64"]).flatmap(
        lambda dtype: arrays(dtype, st.tuples(*[st.integers(1, size) for size in (5, 70, 70)]))
    )
)
def test_pixels_and_type_are_read_back_unchanged(
    pixels: NDArray[np.generic], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("round") / "a.tif"
    write_geotiff(path, pixels, PLACE)
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), pixels)
        assert set(dataset.dtypes) == {pixels.dtype.name}


def test_array_without_a_band_axis_is_one_band_with_its_georeference(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "mask.tif", MASK, PLACE, Annotation(nodata=IGNORE))
    with rasterio.open(tmp_path / "mask.tif") as dataset:
        assert (dataset.count, dataset.height, dataset.width) == (1, 3, 2)
        assert (dataset.crs, dataset.transform, dataset.nodata) == (PLACE.crs, PLACE.transform, IGNORE)


def test_large_raster_is_tiled_and_deflated(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "a.tif", np.zeros((2, 700, 30), dtype=np.uint16), PLACE)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.block_shapes == [(256, 32)] * 2
        assert dataset.profile["tiled"]
        assert dataset.compression.value == "DEFLATE"
    assert (tmp_path / "a.tif").stat().st_size < 700 * 30


def test_names_and_tags_are_read_back(tmp_path: Path) -> None:
    annotation = Annotation(
        descriptions=["red", "nir"], tags={"SOURCE": "a test"}, band_tags=[{"NM": "665"}, {"NM": "842"}]
    )
    write_geotiff(tmp_path / "a.tif", np.ones((2, 4, 4), dtype=np.float32), PLACE, annotation)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.descriptions == ("red", "nir")
        assert dataset.tags()["SOURCE"] == "a test"
        assert [dataset.tags(band)["NM"] for band in (1, 2)] == ["665", "842"]


def test_label_colours_are_read_back(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "a.tif", MASK, PLACE, Annotation(nodata=IGNORE, colours=LABEL_COLOURS))
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.colormap(1)[CROPLAND] == LABEL_COLOURS[CROPLAND]
        assert dataset.colorinterp == (ColorInterp.palette,)


def test_fourth_of_four_uint8_bands_is_data_and_not_alpha(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "a.tif", np.zeros((4, 5, 5), dtype=np.uint8), PLACE)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert ColorInterp.alpha not in dataset.colorinterp
        assert dataset.dataset_mask().min() == 255


def test_older_file_is_replaced(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "a.tif", np.zeros((9, 9), dtype=np.uint8), PLACE)
    write_geotiff(tmp_path / "a.tif", MASK, PLACE)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), MASK)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize(
    ("pixels", "annotation", "words"),
    [
        (np.zeros((2, 3, 4, 5)), Annotation(), "shape (2, 3, 4, 5)"),
        (np.zeros((0, 5)), Annotation(), "empty axis"),
        (np.zeros((2, 5, 5)), Annotation(descriptions=["red"]), "1 descriptions for 2 bands"),
        (np.zeros((2, 5, 5)), Annotation(band_tags=[{}] * 3), "3 band tags for 2 bands"),
        (np.zeros((5, 5), dtype=np.float32), Annotation(colours=LABEL_COLOURS), "single uint8 band"),
        (np.zeros((5, 5), dtype=np.float16), Annotation(), "cannot store float16"),
        (MASK, Annotation(nodata=-1), "-1"),
    ],
)
def test_invalid_array_is_refused_and_leaves_no_file(
    pixels: NDArray[np.generic], annotation: Annotation, words: str, tmp_path: Path
) -> None:
    with pytest.raises(RasterError) as caught:
        write_geotiff(tmp_path / "a.tif", pixels, PLACE, annotation)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=r"its folder .*/nowhere does not exist; make it first"):
        write_geotiff(tmp_path / "nowhere" / "a.tif", MASK, PLACE)


def test_folder_that_is_a_file_is_named_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(RasterError, match=r"its folder .*/file does not exist"):
        write_geotiff(tmp_path / "file" / "a.tif", MASK, PLACE)


def test_unwritable_folder_is_named_in_the_error(unwritable: Path) -> None:
    with pytest.raises(WriteError, match=f"cannot be written .* make {unwritable} writable"):
        write_geotiff(unwritable / "a.tif", MASK, PLACE)


def test_failed_renaming_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "a.tif").mkdir()
    with pytest.raises(WriteError, match=r"a\.tif: cannot be written"):
        write_geotiff(tmp_path / "a.tif", MASK, PLACE)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
