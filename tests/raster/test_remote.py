import http
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from seg.errors import DamageError, RasterError
from seg.raster.chips import Reading, read_chip
from seg.raster.grid import open_raster, read_grid
from seg.raster.remote import (
    address_of,
    gdal_name,
    is_remote,
    is_virtual,
    stem_of,
)
from seg.raster.sources import layout_of
from support.range_server import RangeServer, range_server

WriteRaster = Callable[..., Path]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    with range_server(tmp_path) as running:
        yield running


@pytest.fixture
def quick_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let GDAL try once, and wait one second for a server that does not answer."""
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "1")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("https://host/a/b.tif", "/vsicurl/https://host/a/b.tif"),
        ("http://host:8000/b.tif?id=3", "/vsicurl/http://host:8000/b.tif?id=3"),
        ("/vsicurl/https://host/b.tif", "/vsicurl/https://host/b.tif"),
        ("s3://bucket/key/b.tif", "/vsis3/bucket/key/b.tif"),
        ("gs://bucket/b.tif", "/vsigs/bucket/b.tif"),
        ("az://container/b.tif", "/vsiaz/container/b.tif"),
        ("/vsis3/bucket/b.tif", "/vsis3/bucket/b.tif"),
        ("/data/b.tif", "/data/b.tif"),
        ("b.tif", "b.tif"),
        ("https.tif", "https.tif"),
        ("/vsizip/a.zip/b.tif", "/vsizip/a.zip/b.tif"),
    ],
)
def test_an_address_is_opened_by_the_virtual_file_that_reads_it(given: str, name: str) -> None:
    assert gdal_name(Path(given)) == name
    remote = any(kind in name for kind in ("vsicurl", "vsis3", "vsigs", "vsiaz"))
    assert is_remote(Path(given)) == is_remote(name) == remote


@pytest.mark.parametrize(
    ("given", "stem"),
    [
        ("/vsizip//vsicurl/https://host/a.zip/b.tif", "b"),
        ('NETCDF:"/data/a.nc":values', "a_values"),
        ('HDF5:"a.h5"://group/ndvi', "a_group_ndvi"),
        ("GPKG:maps.gpkg:crops", "maps_crops"),
        ("vrt://a.tif?bands=1", "a"),
        ("/vsizip/{/data/a.zip}/b.tif", "b"),
    ],
)
def test_names_of_gdal_keep_their_slashes(given: str, stem: str) -> None:
    path = Path(given)
    assert (is_virtual(path), gdal_name(path), stem_of(path)) == (True, given, stem)


def test_a_name_of_gdal_keeps_the_slash_of_an_absolute_path(tmp_path: Path) -> None:
    for name in ("a.zip", "a.tif"):
        (tmp_path / name).touch()
    for given in (f"/vsizip/{tmp_path}/a.zip/b.tif", f"vrt://{tmp_path}/a.tif?bands=1", f"/vsigzip/{tmp_path}/a.tif"):
        assert gdal_name(Path(given)) == given
    assert not is_virtual(tmp_path / "a.tif")


def test_a_file_with_a_colon_in_its_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("MAP:2024.tif").touch()
    assert not is_virtual(Path("MAP:2024.tif"))


def test_the_stem_of_an_address_is_the_stem_of_its_path() -> None:
    assert stem_of(Path("https://host/a/b.tif?x=c.d/e")) == "b"
    assert stem_of(Path("s3://bucket/b.x.tif")) == "b.x"
    assert stem_of(Path("folder/b?.tif")) == "b?"


@pytest.mark.parametrize(
    "grant",
    [
        "?X-Amz-Algorithm=AWS4&X-Amz-Date=20260101&X-Amz-Signature=ab%2Fcd",
        "?sv=2024-11-04&se=2026-01-01T00&sr=b&sp=r&sig=ab%2B",
        "?Expires=1767225600&Signature=xyz&Key-Pair-Id=K",
        "?AWSAccessKeyId=A&Expires=1&Signature=s",
        "",
    ],
)
def test_access_tokens_do_not_change_an_address(grant: str) -> None:
    assert address_of(Path(f"https://host/b.tif{grant}")) == "/vsicurl/https://host/b.tif"


def test_other_parameters_stay_in_the_address() -> None:
    assert address_of(Path("https://host/b?scene=7&sig=abc&date=1")) == "/vsicurl/https://host/b?scene=7&date=1"


def test_a_raster_on_a_server_is_read_like_a_file(
    tmp_path: Path, write_raster: WriteRaster, server: RangeServer
) -> None:
    pixels = np.random.default_rng(0).integers(1, 99, (3, 70, 90)).astype(np.uint16)
    path = write_raster(tmp_path / "scene.tif", pixels, nodata=0)
    address = Path(f"{server.url}/scene.tif")
    there, here = read_grid(address), read_grid(path)
    assert (there.height, there.width, there.crs, there.transform) == (
        here.height,
        here.width,
        here.crs,
        here.transform,
    )
    with open_raster(address) as dataset:
        np.testing.assert_array_equal(dataset.read(), pixels)


def test_an_object_store_is_read_through_its_virtual_file(
    tmp_path: Path, write_raster: WriteRaster, server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_raster(tmp_path / "bucket" / "scene.tif", np.ones((20, 30), np.uint8))
    monkeypatch.setenv("AWS_S3_ENDPOINT", server.url.removeprefix("http://"))
    monkeypatch.setenv("AWS_HTTPS", "NO")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTING", "FALSE")
    monkeypatch.setenv("AWS_NO_SIGN_REQUEST", "YES")
    assert read_grid(Path("s3://bucket/scene.tif")).width == 30


def test_the_msk_file_of_a_remote_raster_is_read(
    tmp_path: Path, write_raster: WriteRaster, server: RangeServer
) -> None:
    valid = np.arange(20 * 30).reshape(20, 30) % 3 > 0
    write_raster(tmp_path / "masked.tif", np.ones((20, 30), np.uint8), mask=valid)
    with open_raster(Path(f"{server.url}/masked.tif")) as dataset:
        chip = read_chip(dataset, Window(0, 0, 30, 20), Reading([1], [0.0]))
    np.testing.assert_array_equal(chip.valid, valid)


def test_no_folder_of_the_server_is_listed(tmp_path: Path, write_raster: WriteRaster, server: RangeServer) -> None:
    write_raster(tmp_path / "folder" / "scene.tif", np.ones((20, 30), np.uint8))
    with open_raster(Path(f"{server.url}/folder/scene.tif")) as dataset:
        read_chip(dataset, Window(0, 0, 30, 20), Reading([1], [0.0]))
    assert not [request for request in server.requests if request.endswith("/")]


@pytest.mark.usefixtures("quick_failure")
@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ({"status": http.HTTPStatus.NOT_FOUND}, "404"),
        ({"status": http.HTTPStatus.FORBIDDEN}, "403"),
        ({"status": http.HTTPStatus.INTERNAL_SERVER_ERROR}, "500"),
        ({"delay": 3}, ""),
    ],
)
def test_a_failed_request_gives_one_error(
    tmp_path: Path, write_raster: WriteRaster, server: RangeServer, behaviour: dict[str, object], said: str
) -> None:
    write_raster(tmp_path / "scene.tif", np.ones((20, 30), np.uint8))
    server.behave(**behaviour)
    with pytest.raises(RasterError, match=rf"^http://127.*/scene\.tif: cannot be opened .*{said}.*check the address"):
        read_grid(Path(f"{server.url}/scene.tif?sig=secret"))


@pytest.mark.usefixtures("quick_failure")
def test_a_missing_server_gives_one_error() -> None:
    with pytest.raises(RasterError, match=r"scene\.tif: cannot be opened"):
        read_grid(Path("http://127.0.0.1:9/scene.tif"))


@pytest.mark.usefixtures("quick_failure")
@pytest.mark.parametrize("threads", ["1", "ALL_CPUS"])
def test_a_later_server_failure_is_not_reported_as_damage(
    tmp_path: Path, write_raster: WriteRaster, server: RangeServer, threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDAL_NUM_THREADS", threads)
    pixels = np.random.default_rng(0).integers(0, 255, (400, 400)).astype(np.uint8)
    write_raster(tmp_path / "scene.tif", pixels, tiled=True, blockxsize=128, blockysize=128)
    with open_raster(Path(f"{server.url}/scene.tif")) as dataset:
        server.behave(status=http.HTTPStatus.BAD_GATEWAY)
        with pytest.raises(DamageError, match=r"server or the connection failed.*repeat"):
            read_chip(dataset, Window(200, 200, 200, 200), Reading([1], [0.0]))


def test_the_layout_detects_another_file_at_the_same_address(tmp_path: Path, write_raster: WriteRaster) -> None:
    random, layouts = np.random.default_rng(0), []
    for most in (100, 100, 200):
        pixels = random.integers(0, most, (300, 300)).astype(np.uint8)
        path = write_raster(tmp_path / "s.tif", pixels, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
        for _ in range(2):
            with rasterio.open(path) as dataset:
                layouts.append(layout_of(dataset))
    assert layouts[0] == layouts[1]
    assert len(set(layouts)) == 3
