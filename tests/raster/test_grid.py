import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC

from seg.errors import RasterError
from seg.raster.grid import (
    Grid,
    band_texts,
    open_raster,
    placed_on,
    read_grid,
    require_same_grid,
)

WriteRaster = Callable[..., Path]
UTM = CRS.from_epsg(32633)
GRID = Grid(Path("a.tif"), 20, 30, 1, UTM, Affine(10, 0, 500_000, 0, -10, 5_000_000), None, "uint8")


def test_a_name_that_is_not_utf8_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=r"its name is not UTF-8, as GDAL requires; rename it"):
        read_grid(tmp_path / "\udcb5\udcd8.tif")


def test_grid_has_size_bands_georeference_nodata_and_type(write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((2, 20, 30), dtype=np.int16), nodata=-5)

    assert read_grid(path) == Grid(path, 20, 30, 2, UTM, GRID.transform, -5, "int16")


def test_damaged_metadata_is_an_error_of_the_file(write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((1, 96, 96), np.uint8))
    content = bytearray(path.read_bytes())
    [start] = struct.unpack_from("<I", content, 4)
    [entries] = struct.unpack_from("<H", content, start)
    struct.pack_into("<I", content, start + 2 + 12 * entries, 0x00FF0000)  # offset of the next directory
    path.write_bytes(content)
    with pytest.raises(RasterError, match=r"a\.tif: its metadata cannot be read"), open_raster(path):
        pass


def test_names_of_bands_that_are_not_utf8_are_left_out(write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((2, 8, 8), np.uint8), descriptions=("ABCD", "nir"))
    path.write_bytes(path.read_bytes().replace(b"ABCD", "波段".encode("gbk")))
    assert read_grid(path).band_names == ()
    with open_raster(path) as dataset:
        assert (band_texts(dataset), band_texts(dataset, "units")) == (("", ""), ("", ""))


def mosaic(path: Path, part: str) -> Path:
    """Write a VRT that shows the 8 x 8 raster `part` in the same folder; this raster may be missing."""
    path.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{part}</SourceFilename><SourceBand>1</SourceBand>'
        '<SrcRect xOff="0" yOff="0" xSize="8" ySize="8"/><DstRect xOff="0" yOff="0" xSize="8" ySize="8"/>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return path


@pytest.mark.parametrize("kind", ["missing", "a folder", "no raster"])
@pytest.mark.parametrize("nested", [False, True], ids=["in a mosaic", "in a mosaic of a mosaic"])
def test_a_mosaic_names_the_part_that_cannot_be_opened(tmp_path: Path, kind: str, nested: bool) -> None:
    part = tmp_path / "part.tif"
    path = mosaic(tmp_path / "a.vrt", part.name)
    path = mosaic(tmp_path / "outer.vrt", path.name) if nested else path
    if kind == "a folder":
        part.mkdir()
    elif kind == "no raster":
        part.write_text("no raster")
    with pytest.raises(
        RasterError, match=rf"{path.name}: its source file .*part\.tif cannot be opened .*; restore the file, or"
    ):
        read_grid(path)


def test_a_mosaic_with_all_its_parts_is_read(write_raster: WriteRaster, tmp_path: Path) -> None:
    write_raster(tmp_path / "part.tif", np.ones((8, 8), np.uint8))
    mosaic(tmp_path / "a.vrt", "part.tif")
    outer = mosaic(tmp_path / "outer.vrt", "a.vrt")
    outer.with_name("outer.vrt.aux.xml").write_text("<PAMDataset/>")  # as a viewer leaves it
    assert read_grid(outer).width == 8


def test_a_grid_has_the_names_of_its_bands(write_raster: Callable[..., Path], tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((2, 20, 30), np.int16))
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(2, " nir ")
    assert read_grid(path).band_names == ("", "nir")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_grid_of_a_raster_without_georeference_has_no_crs(write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((2, 2), dtype=np.uint8), crs=None, transform=None)

    assert read_grid(path).crs is None


def test_missing_file_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=r"absent\.tif: no such file; check the path"):
        read_grid(tmp_path / "absent.tif")


def test_text_file_named_tif_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.tif"
    path.write_text("not a raster\n")

    with pytest.raises(RasterError, match=r"text\.tif: not a readable raster .* wanted a GeoTIFF"):
        read_grid(path)


def test_folder_is_refused_as_a_raster(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=r"not a readable raster .* wanted a GeoTIFF"):
        read_grid(tmp_path)


def test_message_about_an_unreadable_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "short.tif"
    path.write_bytes(b"II*\0")

    with pytest.raises(RasterError) as raised:
        read_grid(path)
    assert "\n" not in str(raised.value)


@pytest.fixture
def container(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A file with two subdatasets and no band of its own."""
    path, pixels = tmp_path / "two.gpkg", np.zeros((4, 6), dtype=np.uint8)
    write_raster(path, pixels, driver="GPKG", RASTER_TABLE="first")
    return write_raster(path, pixels, driver="GPKG", RASTER_TABLE="second", APPEND_SUBDATASET="YES")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_file_without_a_band_of_its_own_is_refused(container: Path) -> None:
    with pytest.raises(RasterError, match=r"two\.gpkg: holds no band of its own; name one of its subdatasets"):
        read_grid(container)


def test_subdataset_is_read_by_its_name_in_gdal(container: Path) -> None:
    assert read_grid(Path(f"GPKG:{container}:second")).crs == UTM


def test_bands_nodata_and_type_do_not_matter_for_equal_grids() -> None:
    require_same_grid(replace(GRID, path=Path("b.tif"), bands=4, nodata=0, dtype="float32"), GRID)


def test_transforms_may_differ_by_a_thousandth_of_a_pixel() -> None:
    require_same_grid(replace(GRID, transform=GRID.transform @ Affine.translation(0.0009, 0)), GRID)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"height": 21}, r"b\.tif: size is 30x21, but a\.tif has 30x20"),
        ({"crs": CRS.from_epsg(32634)}, r"b\.tif: CRS is EPSG:32634, but a\.tif has EPSG:32633"),
        ({"transform": GRID.transform @ Affine.translation(0.5, 0)}, r"b\.tif: lies up to 0\.5 pixels off a\.tif"),
        ({"transform": GRID.transform @ Affine.scale(1.1)}, r"b\.tif: lies up to 3\.61 pixels off a\.tif"),
    ],
    ids=["size", "crs", "shift", "pixel size"],
)
def test_the_error_about_different_grids_names_both_files(change: dict[str, object], difference: str) -> None:
    with pytest.raises(RasterError, match=difference):
        require_same_grid(replace(GRID, path=Path("b.tif"), **change), GRID)


def test_pixel_size_is_measured_along_the_axes_of_the_raster() -> None:
    turned = Affine.rotation(30) @ Affine.scale(2, -3)

    assert replace(GRID, transform=turned).pixel_size == pytest.approx((2, 3))


@pytest.mark.parametrize(
    ("crs", "metres"),
    [("EPSG:32633", 10), ("EPSG:32633+5773", 10), ("EPSG:2263", 10 * 1200 / 3937), ("EPSG:4978", None), (None, None)],
    ids=["metres", "metres with heights", "US survey feet", "geocentric", "none"],
)
def test_pixel_size_in_metres_follows_the_unit_of_the_crs(crs: str | None, metres: float | None) -> None:
    grid = replace(GRID, crs=CRS.from_user_input(crs) if crs else None)

    assert grid.pixel_size_m == (None if metres is None else pytest.approx(metres))


def test_pixel_size_in_metres_of_oblong_pixels_is_the_side_of_a_square_of_equal_area() -> None:
    assert replace(GRID, transform=Affine.scale(4, -9)).pixel_size_m == pytest.approx(6)


# Metres per degree of latitude and of longitude on WGS 84, from published tables.
@pytest.mark.parametrize(
    ("latitude", "north", "east"), [(0, 110_574, 111_320), (45, 111_132, 78_847), (-60, 111_412, 55_800)]
)
def test_pixel_size_in_metres_of_degrees_is_measured_at_the_centre(latitude: float, north: float, east: float) -> None:
    degrees = Affine(1e-4, 0, 15 - 15e-4, 0, -2e-4, latitude + 20e-4)
    grid = replace(GRID, crs=CRS.from_epsg(4326), transform=degrees)

    assert grid.pixel_size_m == pytest.approx((1e-4 * east * 2e-4 * north) ** 0.5, rel=1e-4)


@pytest.mark.parametrize(
    "transform",
    [Affine.identity(), Affine(10, 0, 500_000, 0, -10, 5_000_000), Affine(1, 0, 0, 0, -1, 100)],
    ids=["identity", "metres", "the pole"],
)
def test_pixel_size_in_metres_is_unknown_where_the_centre_has_no_latitude(transform: Affine) -> None:
    assert replace(GRID, crs=CRS.from_epsg(4326), transform=transform).pixel_size_m is None


def test_complex_rasters_are_refused(write_raster: WriteRaster, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "radar.tif", np.ones((2, 2), dtype=np.complex64))

    with pytest.raises(RasterError, match=r"radar\.tif: holds complex numbers \(complex64\), wanted real numbers"):
        read_grid(path)


LOCAL = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')


@pytest.mark.parametrize("crs", [None, LOCAL], ids=["no crs", "local"])
def test_a_raster_without_a_crs_matches_only_an_equal_transform(crs: CRS | None) -> None:
    placeless = replace(GRID, path=Path("b.tif"), crs=crs)
    require_same_grid(placeless, GRID)
    require_same_grid(GRID, placeless)
    moved = replace(placeless, transform=GRID.transform @ Affine.translation(0.5, 0))
    with pytest.raises(RasterError, match=r"lies up to 0\.5 pixels off"):
        require_same_grid(moved, GRID)


@pytest.mark.parametrize(
    "transform",
    ["nan,10,0,0,0,-10", "0,10,0,inf,0,-10", "0,0,0,0,0,-10", "0,10,5,0,10,5", "0,1e-30,0,0,0,-1e-30"],
    ids=["nan", "inf", "no width", "parallel axes", "tiny"],
)
def test_an_invalid_transform_is_refused(tmp_path: Path, transform: str) -> None:
    path = tmp_path / "a.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="4" rasterYSize="4"><GeoTransform>{transform}</GeoTransform>'
        '<VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
    )
    with pytest.raises(RasterError, match=r"a\.vrt: its transform \(.*\) is not finite or not invertible"):
        read_grid(path)


def test_an_absurd_size_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "huge.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="1000000000" rasterYSize="1000000000">'
        '<VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
    )
    with pytest.raises(RasterError, match=r"huge\.vrt: declares 1,000,000,000 x 1,000,000,000 pixels, wanted at most"):
        read_grid(path)


def test_labels_without_georeference_get_the_georeference_of_an_image_of_equal_size() -> None:
    labels = replace(GRID, path=Path("b.png"), crs=None, transform=Affine.identity())

    require_same_grid(placed_on(labels, GRID), GRID)


@pytest.mark.parametrize(
    "change",
    [{"height": 21}, {"crs": UTM}, {"transform": GRID.transform}],
    ids=["another size", "a crs", "a transform"],
)
def test_labels_with_a_georeference_keep_it(change: dict[str, object]) -> None:
    labels = replace(GRID, path=Path("b.png"), **({"crs": None, "transform": Affine.identity()} | change))

    assert placed_on(labels, GRID) == labels


def test_a_raster_with_only_control_points_or_rpcs_is_not_rectified(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "height": 4, "width": 5, "count": 1, "dtype": "uint8"}
    corners = [GroundControlPoint(row, column, 10.0 * column, -10.0 * row) for row in (0, 4) for column in (0, 5)]
    one, none = [1.0] + [0.0] * 19, [0.0] * 20
    camera = RPC(0, 1, 0, 1, one, none, 0, 1, 0, 1, one, none, 0, 1)
    rectified = {}
    for name, given in (("gcps", corners), ("rpcs", camera), ("nothing", None)):
        with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as dataset:
            if name == "gcps":
                dataset.gcps = (given, UTM)
            elif name == "rpcs":
                dataset.rpcs = given
        rectified[name] = read_grid(tmp_path / f"{name}.tif").rectified
    assert rectified == {"gcps": False, "rpcs": False, "nothing": True}
