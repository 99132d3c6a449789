"""Recognise the product that a path names, and read its metadata."""

from pathlib import Path

from seg.errors import RasterError
from seg.imagery.container import Container, open_container
from seg.imagery.product import Product
from seg.imagery.sentinel2 import is_sentinel2, read_sentinel2


def open_products(path: Path) -> list[Product]:
    """Products that a path names; only an item collection names more than one.

    Args:
        path: A Sentinel-2 product (folder or .zip).

    Raises:
        RasterError: The path is missing or names no product, or the product's metadata is wrong.
    """
    container = open_container(path)
    found = None if container is None else _read(container)
    if found is None:
        raise RasterError(
            f"{path}: {'holds no known product' if path.exists() else 'no such file or folder'}; wanted a Sentinel-2 "
            "product (.SAFE folder or .zip)"
        )
    return [found]


def open_product(path: Path) -> Product:
    """The product that a path names.

    Raises:
        RasterError: As for `open_products`; or the path names several products.
    """
    products = open_products(path)
    if len(products) > 1:
        raise RasterError(
            f"{path}: names {len(products)} products, wanted one; name one item, or combine them with "
            "prepare.py composite"
        )
    return products[0]


def _read(container: Container) -> Product | None:
    if is_sentinel2(container):
        return read_sentinel2(container)
    return None
