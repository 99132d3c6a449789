"""GDAL's names of rasters on servers, in archives and in other files, and GDAL's settings to open and decode them."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import rasterio

_SCHEMES = {"s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/", "abfs": "/vsiadls/", "oss": "/vsioss/"}
"""GDAL's prefixes of object stores, by the scheme of their addresses."""

_ADDRESS = re.compile(rf"(?P<virtual>/vsicurl/)?(?P<scheme>https?|ftp|{'|'.join(_SCHEMES)}):/+(?P<rest>.+)")
"""Pattern of an address; it also matches if a `Path` has shortened the two slashes to one."""

_DRIVER = re.compile(r"(?P<driver>[A-Z][A-Z0-9_]+):(?P<quote>\"?)(?P<file>.+?)(?P=quote)(?::(?P<inner>.+))?")
"""Pattern of a part of a file, such as `NETCDF:"a.nc":values` and `GPKG:a.gpkg:layer`."""

_ARCHIVE = re.compile(r"(/vsi(?:zip|tar|gzip|7z|rar|sparse|cached)/)(?!/|\{|vsi)(.+)")
"""Pattern of an archive in a GDAL name. If the archive has an absolute path, GDAL's name has two slashes, as in
`/vsizip//data/a.zip`, but a `Path` shortens them to one."""

_REMOTE = re.compile(r"/vsi(curl|s3|gs|az|adls|oss|swift|webhdfs|hdfs)(_streaming)?/")

_GRANT = re.compile(
    r"(x-(amz|goog)-.*|s(e|p|pr|r|t|v|k.*|ig|ignature)|expires|policy|key-pair-id|awsaccesskeyid|.*token)=",
    re.IGNORECASE,
)
"""Parameters of an address that grant access and do not name the file:
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html,
https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas."""


def gdal_name(path: Path) -> str:
    """GDAL's name of a raster: the file, or the virtual file that reads an address.

    Args:
        path: A file, any other GDAL name, or an address such as `https://host/scene.tif` or
            `s3://bucket/scene.tif`, which a `Path` may have shortened to `https:/host/scene.tif`.
    """
    found = _ADDRESS.fullmatch(path.as_posix())
    if found is None:
        return _with_slashes(path.as_posix()) if is_virtual(path) else str(path)
    scheme = found["scheme"]
    return f"{_SCHEMES[scheme]}{found['rest']}" if scheme in _SCHEMES else f"/vsicurl/{scheme}://{found['rest']}"


def is_virtual(path: Path) -> bool:
    """True if a name is a GDAL name of a raster or layer, such as `/vsizip/a.zip/b.tif`, and not the name of a file."""
    text = path.as_posix()
    named = text.startswith(("/vsi", "vrt:/")) or _DRIVER.fullmatch(text) is not None
    return named and not path.exists()


def _with_slashes(name: str) -> str:
    """GDAL's name with the double slashes that a `Path` shortened to one."""
    name = re.sub(rf"\b(https?|ftp|{'|'.join(_SCHEMES)}):/+", r"\1://", name)
    name = re.sub(r"(/vsi[a-z0-9_]+)/(?=vsi[a-z0-9_]+/)", r"\1//", name)
    name = re.sub(r"^((?:HDF5|BAG):.+):/+", r"\1://", name)
    if name.startswith("vrt:/"):
        inner = name.removeprefix("vrt:").lstrip("/")
        name = f"vrt://{_with_root(inner)}"
    archive = _ARCHIVE.search(name)
    return name if archive is None else name[: archive.start(2)] + _with_root(archive[2])


def _with_root(inner: str) -> str:
    """The path inside a GDAL name, made absolute if the file or archive exists only at the absolute path."""
    file = Path(inner.partition("?")[0])
    absolute = Path("/", file)
    relative = any(part.is_file() for part in (file, *file.parents))
    return f"/{inner}" if not relative and any(part.is_file() for part in (absolute, *absolute.parents)) else inner


def is_remote(path: Path | str) -> bool:
    """True if a raster is read from a server.

    Args:
        path: A file or an address, or GDAL's name of either.
    """
    return _REMOTE.search(path if isinstance(path, str) else gdal_name(path)) is not None


@contextmanager
def settings_to_open(name: str) -> Iterator[None]:
    """Set GDAL's settings for opening a raster within a context.

    Args:
        name: GDAL's name of the raster.
    """
    if not is_remote(name):
        yield
        return
    # GDAL would list the folder to find files that belong to the raster. On a server the list can be long. With this
    # setting, GDAL asks for the few possible names instead.
    with one_thread(), rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE"):
        yield


def address_of(path: Path) -> str:
    """GDAL's name of a remote raster without parameters that grant access, such as the signature of an S3 address."""
    name = gdal_name(path)
    start, query, parameters = name.partition("?")
    kept = [parameter for parameter in parameters.split("&") if parameter and not _GRANT.match(parameter)]
    return start + (query + "&".join(kept) if kept else "")


def shown_name(path: Path) -> str:
    """Name of a raster in messages: the file, or its address without parameters that grant access."""
    return address_of(path).removeprefix("/vsicurl/") if is_remote(path) else str(path)


def stem_of(path: Path) -> str:
    """Stem of the file name of a raster or of an address; `NETCDF:"a.nc":part` has the stem `a_part`."""
    if not (is_remote(path) or is_virtual(path)):
        return path.stem
    name = gdal_name(path)
    part = _DRIVER.fullmatch(name)
    if part is None:
        return Path(name.partition("?")[0]).stem
    words = [Path(part["file"]).stem, *re.findall(r"\w+", part["inner"] or "")]
    return "_".join(words)


def one_thread() -> AbstractContextManager[object]:
    """Context with GDAL settings that make GDAL report every unreadable tile.

    With several decoding threads (GDAL_NUM_THREADS, GDAL 3.10), GDAL reports a damaged tile only once and returns its
    decoded part afterwards, and never reports a failing server.
    """
    settings: AbstractContextManager[object] = rasterio.Env(GDAL_NUM_THREADS="1")
    return settings
