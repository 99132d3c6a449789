"""Names and comparison of coordinate reference systems."""

from functools import lru_cache

from rasterio.crs import CRS


def crs_name(crs: CRS | None) -> str:
    """Short name of a CRS for messages, for example "EPSG:32632"."""
    if crs is None:
        return "none"
    return str(crs.to_string())[:80]


def crs_names(first: CRS | None, second: CRS | None) -> tuple[str, str]:
    """Names of two different CRSs for a message, with their PROJ strings if the short names are the same."""
    names = crs_name(first), crs_name(second)
    if names[0] != names[1] or first is None or second is None:
        return names
    return f"{names[0]} ({first.to_proj4()})", f"{names[1]} ({second.to_proj4()})"


def same_crs(first: CRS | None, second: CRS | None) -> bool:
    """True if two CRSs give the same horizontal coordinates.

    GeoTIFF and ESRI's .prj may store a CRS without its EPSG code and axis order, so one CRS has several spellings. Two
    spellings are equal if GDAL identifies both as the same EPSG code. Only the horizontal part of a compound CRS is
    compared.
    """
    if first is None or second is None:
        return first is second
    return bool(first == second) or crs_key(first) == crs_key(second)


def crs_key(crs: CRS) -> str:
    """EPSG code of the horizontal part of a CRS, or its WKT if it has no code; equal for all spellings of one CRS."""
    return wkt_key(crs.to_wkt())


def has_place(crs: CRS | None) -> bool:
    """True if a CRS refers to the Earth; False for None and for a local or engineering CRS."""
    if crs is None:
        return False
    horizontal = _horizontal(crs.to_wkt())
    return bool(horizontal.is_projected or horizontal.is_geographic)


@lru_cache(maxsize=256)
def wkt_key(wkt: str) -> str:
    """As `crs_key`, for a CRS in WKT."""
    horizontal = _horizontal(wkt)
    code = horizontal.to_epsg()
    return str(horizontal.to_wkt()) if code is None else f"EPSG:{code}"


def _horizontal(wkt: str) -> CRS:
    """Horizontal part of a compound CRS, source CRS of a bound CRS, or any other CRS unchanged."""
    # Imported here, since the import is slow and few commands compare CRSs with different WKT.
    import pyproj

    try:
        part = pyproj.CRS.from_wkt(wkt)
    except pyproj.exceptions.CRSError:
        return CRS.from_wkt(wkt)
    while part.is_compound or (part.is_bound and part.source_crs is not None):
        inner = part.sub_crs_list[0] if part.is_compound else part.source_crs
        part = inner or part
    return CRS.from_wkt(part.to_wkt())
