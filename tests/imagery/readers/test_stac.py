import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import from_origin

from seg.errors import RasterError
from seg.imagery.recognition import open_product, open_products
from seg.imagery.scene import write_scene
from seg.imagery.settings import MaskSettings, SceneSettings
from seg.raster.grid import open_raster
from support.range_server import RangeServer, range_server

WriteRaster = Callable[..., Path]
CORNER = (600_000, 5_000_040)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    with range_server(tmp_path) as running:
        yield running


def item(assets: dict[str, dict[str, object]], version: str = "1.0.0", **properties: object) -> dict[str, object]:
    known = {"datetime": "2024-05-11T10:30:31Z", "eo:cloud_cover": 3.5, "platform": "sentinel-2b"}
    return {
        "type": "Feature",
        "stac_version": version,
        "id": "S2B_32UNE_20240511",
        "geometry": {"type": "Point", "coordinates": [10, 45]},
        "bbox": [10, 45, 10, 45],
        "properties": known | properties,
        "links": [],
        "assets": assets,
    }


def asset(href: str, common: str = "", **fields: object) -> dict[str, object]:
    bands = {"eo:bands": [{"name": href[:3], "common_name": common}]} if common else {}
    return {"href": href, "type": "image/tiff; application=geotiff", "roles": ["data"], **bands, **fields}


def raster(scale: float = 1e-4, offset: float = -0.1) -> dict[str, object]:
    return {"raster:bands": [{"nodata": 0, "data_type": "uint16", "scale": scale, "offset": offset}]}


@pytest.fixture
def files(tmp_path: Path, write_raster: WriteRaster) -> dict[str, np.ndarray]:
    """Write B04.tif and B08.tif of 10 m, and B11.tif and SCL.tif of 20 m; return their pixels.

    The first column of each reflectance is 0. SCL is 9 in the upper left corner.
    """
    random, stored = np.random.default_rng(0), {}
    for name, size in (("B04", 10), ("B08", 10), ("B11", 20), ("SCL", 20)):
        stored[name] = random.integers(1, 9000, (600 // size, 480 // size)).astype(np.uint16)
        stored[name][:, 0] = 0
        if name == "SCL":
            stored[name] = np.full((30, 24), 4, np.uint8)
            stored[name][:5, :5] = 9
        write_raster(
            tmp_path / f"{name}.tif", stored[name], transform=from_origin(*CORNER, size, size), crs="EPSG:32632"
        )
    return stored


def written(
    tmp_path: Path, document: dict[str, object], *bands: str, **masking: object
) -> tuple[np.ndarray, np.ndarray]:
    """Write an item and its scene; return the scene's pixels and mask."""
    (tmp_path / "item.json").write_text(json.dumps(document))
    output = tmp_path / "scene.vrt"
    write_scene(
        open_product(tmp_path / "item.json"), output, SceneSettings(bands=list(bands) or None), MaskSettings(**masking)
    )
    with open_raster(output) as scene:
        return scene.read(), scene.read_masks(1) > 0


def test_assets_have_the_scale_and_offset_of_the_item(tmp_path: Path, files: dict[str, np.ndarray]) -> None:
    document = item(
        {
            "red": asset("./B04.tif", "red", **raster()),
            "B11": asset("B11.tif", "swir16", **raster(offset=0.0)),
            "scl": asset("SCL.tif"),
            "thumbnail": {"href": "T.png", "type": "image/png", "roles": ["thumbnail"]},
        }
    )
    pixels, valid = written(tmp_path, document, mask="auto")
    known = files["B04"] > 0
    np.testing.assert_array_equal(pixels[0][known], files["B04"].astype(int)[known] - 1000)
    assert (pixels[0][~known] == -32768).all()
    assert not valid[:10, :10].any()
    assert valid[10:].all()
    with open_raster(tmp_path / "scene.vrt") as scene:
        assert scene.descriptions == ("red", "B11")
        assert scene.tags()["DATE"] == "2024-05-11T10:30:31Z"
        assert scene.tags()["PRODUCT"] == "S2B_32UNE_20240511"


def test_bands_of_stac_1_1_are_read(tmp_path: Path, files: dict[str, np.ndarray]) -> None:
    bands = [{"name": "B04", "eo:common_name": "red", "raster:scale": 2e-4, "raster:offset": -0.05, "nodata": 0}]
    document = item({"B04_10m": {**asset("B04.tif"), "bands": bands}}, version="1.1.0")
    pixels, _ = written(tmp_path, document, "b04")
    known = files["B04"] > 0
    np.testing.assert_array_equal(pixels[0][known], files["B04"].astype(int)[known] * 2 - 500)


@pytest.mark.parametrize(
    ("properties", "fields", "offset"),
    [
        ({"earthsearch:boa_offset_applied": True}, raster(), 0),
        ({"earthsearch:boa_offset_applied": False}, raster(), -1000),
        ({"s2:processing_baseline": "05.09"}, {}, -1000),
        ({"s2:processing_baseline": "03.01"}, {}, 0),
    ],
)
def test_offsets_of_known_catalogues(
    tmp_path: Path,
    files: dict[str, np.ndarray],
    properties: dict[str, object],
    fields: dict[str, object],
    offset: int,
) -> None:
    pixels, _ = written(tmp_path, item({"B04": asset("B04.tif", "red", **fields)}, **properties), "red")
    wanted = np.where(files["B04"] > 0, files["B04"].astype(int) + offset, -32768)
    np.testing.assert_array_equal(pixels[0], wanted)


def test_a_file_without_a_crs_gets_the_georeference_of_its_item(tmp_path: Path, write_raster: WriteRaster) -> None:
    values = np.arange(1, 36, dtype=np.uint16).reshape(5, 7)
    write_raster(tmp_path / "plain.tif", values, crs=None, transform=from_origin(0, 0, 1, 1))
    place = {"proj:code": "EPSG:32632", "proj:transform": [10, 0, 600_000, 0, -10, 5_000_040], "proj:shape": [5, 7]}
    written(tmp_path, item({"red": asset("plain.tif", "red", **raster(), **place)}))
    with open_raster(tmp_path / "scene.vrt") as scene:
        assert scene.crs.to_epsg() == 32632
        assert scene.transform == from_origin(*CORNER, 10, 10)


@pytest.mark.usefixtures("files")
def test_each_item_of_a_collection_is_a_product(tmp_path: Path) -> None:
    features = [item({"red": asset("B04.tif", "red", **raster())}) | {"id": name} for name in ("first", "second")]
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert [product.name for product in open_products(path)] == ["first", "second"]
    with pytest.raises(RasterError, match="lists 2 items, wanted one"):
        open_product(path)


def test_a_scene_of_an_item_on_a_server_fetches_each_file_once(
    tmp_path: Path, files: dict[str, np.ndarray], server: RangeServer
) -> None:
    document = item({"red": asset("B04.tif", "red", **raster()), "nir": asset("B08.tif", "nir", **raster())})
    (tmp_path / "item.json").write_text(json.dumps(document))
    server.behave()
    write_scene(open_product(Path(f"{server.url}/item.json")), tmp_path / "scene.vrt")
    with open_raster(tmp_path / "scene.vrt") as scene:
        pixels = scene.read()
    known = files["B08"] > 0
    np.testing.assert_array_equal(pixels[1][known], files["B08"].astype(int)[known] - 1000)
    assert server.sent <= (tmp_path / "item.json").stat().st_size + sum(
        (tmp_path / f"{name}.tif").stat().st_size for name in ("B04", "B08")
    )


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (
            item({"metadata": {"href": "a.xml", "type": "application/xml"}}),
            "lists no file with an image among its 1 assets",
        ),
        ({"type": "Catalog"}, "is neither a STAC item nor a collection of items"),
        ({"type": "Feature", "id": 3}, "not a valid STAC item"),
        (item({"red": asset("absent.tif", "red", **raster())}), r"absent\.tif: no such file"),
    ],
)
def test_a_wrong_item_is_an_error(tmp_path: Path, document: dict[str, object], problem: str) -> None:
    with pytest.raises(RasterError, match=problem):
        written(tmp_path, document)
