"""Rasters that are read from a server: what GDAL calls them, and how it opens them."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import rasterio

_SCHEMES = {"s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/", "abfs": "/vsiadls/", "oss": "/vsioss/"}
"""How GDAL calls object stores, by the scheme of their addresses."""

_ADDRESS = re.compile(rf"(?P<virtual>/vsicurl/)?(?P<scheme>https?|ftp|{'|'.join(_SCHEMES)}):/+(?P<rest>.+)")
"""An address, also after a `Path` made one of its two slashes."""

_REMOTE = re.compile(r"/vsi(curl|s3|gs|az|adls|oss|swift|webhdfs|hdfs)(_streaming)?/")

_GRANT = re.compile(
    r"(x-(amz|goog)-.*|s(e|p|pr|r|t|v|k.*|ig|ignature)|expires|policy|key-pair-id|awsaccesskeyid|.*token)=",
    re.IGNORECASE,
)
"""Parameters that say who may read until when, not what is read:
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html,
https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas."""


def gdal_name(path: Path) -> str:
    """What GDAL opens: the file, or the virtual file that reads an address.

    Args:
        path: A file, an address such as `https://host/scene.tif` or `s3://bucket/scene.tif`, which a `Path` may have
            shortened to `https:/host/scene.tif`, or any name that GDAL knows.
    """
    found = _ADDRESS.fullmatch(path.as_posix())
    if found is None:
        return str(path)
    scheme = found["scheme"]
    return f"{_SCHEMES[scheme]}{found['rest']}" if scheme in _SCHEMES else f"/vsicurl/{scheme}://{found['rest']}"


def is_remote(path: Path | str) -> bool:
    """Whether a raster is read from a server.

    Args:
        path: A file or an address, or what GDAL calls it.
    """
    return _REMOTE.search(path if isinstance(path, str) else gdal_name(path)) is not None


@contextmanager
def settings_to_open(name: str) -> Iterator[None]:
    """Set GDAL up to open a raster.

    Args:
        name: What GDAL calls it.
    """
    if not is_remote(name):
        yield
        return
    # GDAL would list the folder for files that belong to the raster; on a server that is a request for a page that may
    # be long, or for all the names in a bucket. So it asks for each of the few names that there can be.
    with one_thread(), rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE"):
        yield


def address_of(path: Path) -> str:
    """A remote raster's name without what only grants access, such as the signature of an S3 address."""
    name = gdal_name(path)
    start, query, parameters = name.partition("?")
    kept = [parameter for parameter in parameters.split("&") if parameter and not _GRANT.match(parameter)]
    return start + (query + "&".join(kept) if kept else "")


def shown_name(path: Path) -> str:
    """What messages call a raster: the file, or its address without what grants access to it."""
    return address_of(path).removeprefix("/vsicurl/") if is_remote(path) else str(path)


def stem_of(path: Path) -> str:
    """The stem of a raster's file; of an address, that of its path."""
    return Path(gdal_name(path).partition("?")[0]).stem if is_remote(path) else path.stem


def one_thread() -> AbstractContextManager[object]:
    """The settings with which GDAL reports each tile that it cannot read.

    Where several threads decode (GDAL_NUM_THREADS, GDAL 3.10), it reports a damaged tile at the first reading alone and
    gives whatever was decoded of it from then on, and does not report at all that a server failed.
    """
    settings: AbstractContextManager[object] = rasterio.Env(GDAL_NUM_THREADS="1")
    return settings
