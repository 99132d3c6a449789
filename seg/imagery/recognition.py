"""Recognise the product that a path names, and read its metadata."""

from collections.abc import Sequence
from pathlib import Path

from seg.errors import RasterError
from seg.imagery.product import Product
from seg.imagery.readers.container import ARCHIVES, Container, open_container
from seg.imagery.readers.landsat import is_landsat, read_landsat
from seg.imagery.readers.loose import band_files, loose_files, loose_product
from seg.imagery.readers.sentinel2 import is_sentinel2, read_sentinel2
from seg.imagery.readers.stac import is_stac, read_stac
from seg.raster.remote import is_remote, is_virtual

SAFE = ".safe"
"""Suffix of the folder of a Sentinel product, in lower case."""

WANTED = (
    "wanted a Sentinel-2 product (.SAFE folder or .zip), a Landsat product of Collection 2 (folder or .tar), "
    "a STAC item (.json or address), or rasters"
)


def open_products(path: Path) -> list[Product]:
    """Products that a path names, by reading metadata only. Only a collection of STAC items gives several products.

    Args:
        path: A Sentinel-2 product (folder or .zip), a Landsat product (folder or .tar), a STAC item or collection of
            items (.json file or address), a folder with one raster for each band, or a raster.

    Raises:
        RasterError: The path is missing or names no product, or the product's metadata is wrong.
    """
    found = provider_products(path)
    return found or [_loose(path)]


def open_product(path: Path) -> Product:
    """The product that a path names.

    Raises:
        RasterError: As for `open_products`; or the path names several products.
    """
    products = open_products(path)
    if len(products) > 1:
        raise RasterError(
            f"{path}: lists {len(products)} items, wanted one; name one item, or combine the items with "
            "prepare.py composite"
        )
    return products[0]


def _loose(path: Path) -> Product:
    if path.is_dir():
        return loose_product(path, band_files(path))
    if not (path.exists() or is_remote(path) or is_virtual(path)):
        raise RasterError(f"{path}: no such file or folder; {WANTED}")
    return loose_files([path])


def open_as_one(paths: Sequence[Path]) -> Product:
    """The product that one path names, or a product whose bands are those of several rasters.

    Raises:
        RasterError: As for `open_product`; or one of several paths is not a raster.
    """
    if len(paths) == 1:
        return open_product(paths[0])
    for path in paths:
        if path.is_dir() or provider_products(path):
            raise RasterError(f"{path}: is a product or a folder; wanted a single product, or several raster files")
    return loose_files(paths)


def provider_products(path: Path) -> list[Product]:
    """Sentinel-2, Landsat or STAC products that a path names; an empty list for loose files and missing paths.

    Raises:
        RasterError: The archive, the item or the metadata is damaged, or an archive holds no product.
    """
    if not is_product(path):
        return []
    if is_stac(path):
        return read_stac(path)
    container = open_container(path)
    if container is not None and (is_sentinel2(container) or path.suffix.lower() == SAFE):
        return [read_sentinel2(container)]
    if container is not None and is_landsat(container):
        return [read_landsat(container)]
    raise RasterError(f"{path}: holds no known product; {WANTED}")


def is_product(path: Path) -> bool:
    """True if a path looks like a product: by its name, or by the names of the files in a folder."""
    if is_stac(path):
        return is_remote(path) or path.is_file()
    if path.is_dir():
        return _is_product_folder(path)
    return path.name.lower().endswith(ARCHIVES) and path.is_file()


def _is_product_folder(path: Path) -> bool:
    """True if a folder is a product itself; the names inside decide, so that no large tree is listed."""
    if path.suffix.lower() == SAFE:
        return True
    names = Container(path, {file.name: file for file in path.iterdir()}, lambda _: b"")
    return is_sentinel2(names) or is_landsat(names)
