"""Gained and lost cropland as polygons in one GeoPackage, each with its area and probability."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import Transformer
from rasterio.windows import Window

from seg.evaluation.change.classes import CHANGE_NAMES, GAINED, LOST
from seg.evaluation.settings import ChangeSettings
from seg.files import put_in_place, work_folder, writing
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.parcels.formats import WGS84
from seg.parcels.settings import PolygonSettings
from seg.parcels.write_parcels import ParcelFile, write_parcels
from seg.raster.grid import open_raster
from seg.raster.writing.vrt import vrt_root
from seg.terminal.progress import progress_bar

LAYER = "change"
DIRECTIONS = {GAINED: "gained", LOST: "lost"}

PLAIN = {
    "id": pa.string(),
    "rank": pa.int64(),
    "change": pa.string(),
    "area": pa.float64(),
    "perimeter": pa.float64(),
    "lon": pa.float64(),
    "lat": pa.float64(),
}
"""Types of the columns that the polygons always have."""

PROBABLE = {
    "mean_probability": pa.float64(),
    "unsupported_share": pa.float64(),
    "supported": pa.bool_(),
    "expected_area": pa.float64(),
}
"""Types of the columns that exist only with probabilities."""

COLUMNS = (*PLAIN, *PROBABLE)

_BATCH = 10_000


@dataclass(frozen=True)
class ChangePolygons:
    """Polygons of one direction of change.

    Attributes:
        count: Number of polygons.
        hectares: Total area.
        unsupported: Number of polygons whose mean probability is at most the confidence; None if there are no
            probabilities.
    """

    count: int
    hectares: float
    unsupported: int | None


def write_change_polygons(
    change: Path, probability: Path | None, output: Path, settings: ChangeSettings
) -> dict[str, ChangePolygons]:
    """Write the polygons of gained and lost cropland.

    The polygons are ordered by their expected area of change, which is mean probability times area; without
    probabilities, by area. The columns are id (row and column of the first pixel), rank (from 1), change ("gained" or
    "lost"), area in hectares, perimeter in metres, and lon and lat (WGS 84) of a point within the polygon. If there are
    probabilities, there are four more columns: mean_probability, unsupported_share (share of the pixels that the
    probabilities do not support), supported (true if the mean is above the confidence) and expected_area in hectares.

    Args:
        change: The change map, with a CRS.
        probability: Probability of each mapped change in percent; None if there are no probabilities.
        output: The GeoPackage to write; it replaces an older file.
        settings: Smallest area, and confidence.

    Returns:
        Totals by direction, "gained" and "lost".

    Raises:
        RasterError: A raster cannot be read, or the output cannot be written.
    """
    tracing = PolygonSettings(min_area=settings.min_area, probability=probability, uncertain=(0.0, settings.confidence))
    found = {}
    with work_folder(output) as folder:
        unordered, finished = folder / "unordered.gpkg", folder / output.name
        for value, direction in DIRECTIONS.items():
            only = folder / f"{direction}.vrt"
            _write_only(only, change, value)
            with progress_bar(f"{direction} cropland") as bar:
                traced = write_parcels(only, folder / f"{direction}.gpkg", tracing, bar.move)
            unsupported = _append(traced, direction, unordered, settings.confidence, probability is not None)
            found[direction] = ChangePolygons(traced.parcels, traced.hectares, unsupported)
        _write_ordered(unordered, finished, probability is not None)
        put_in_place(finished, output)
    return found


def _write_only(path: Path, change: Path, value: int) -> None:
    """Write a VRT that shows one class of the change map as cropland, and all other classes as other."""
    with open_raster(change) as source:
        root = vrt_root(source, Window(0, 0, source.width, source.height))
    band = Xml.SubElement(root, "VRTRasterBand", dataType="Byte", band="1")
    Xml.SubElement(band, "NoDataValue").text = str(IGNORE)
    part = Xml.SubElement(band, "ComplexSource")
    Xml.SubElement(part, "SourceFilename", relativeToVRT="0").text = str(change.absolute())
    Xml.SubElement(part, "SourceBand").text = "1"
    Xml.SubElement(part, "NODATA").text = str(IGNORE)
    table = ",".join(f"{one}:{CROPLAND if one == value else OTHER}" for one in CHANGE_NAMES)
    Xml.SubElement(part, "LUT").text = table
    path.write_text(Xml.tostring(root, encoding="unicode"), encoding="utf-8")


def _append(traced: ParcelFile, direction: str, output: Path, confidence: float, probable: bool) -> int | None:
    """Append the polygons of one direction to the output in batches; return the number of unsupported polygons."""
    unsupported = 0

    def rows(batches: Iterator[pa.RecordBatch], geometry: str, centres: _Centres) -> Iterator[pa.RecordBatch]:
        nonlocal unsupported
        for batch in batches:
            columns = {"id": batch["id"], "change": pa.array([direction] * batch.num_rows)}
            columns |= {name: batch[name] for name in ("area", "perimeter")} | centres.columns(batch[geometry])
            if probable:
                mean = batch["mean_probability"]
                supported = pc.fill_null(pc.greater(mean, confidence), False)
                unsupported += batch.num_rows - (pc.sum(supported).as_py() or 0)
                columns |= {
                    "mean_probability": mean,
                    "unsupported_share": batch["uncertain_share"],
                    "supported": supported,
                    "expected_area": pc.multiply(mean, batch["area"]),
                }
            yield pa.record_batch({"geometry": batch[geometry], **columns})

    with (
        writing(output, DataSourceError, DataLayerError),
        pyogrio.open_arrow(traced.path, use_pyarrow=True, batch_size=_BATCH) as (meta, reader),
    ):
        found = rows(iter(reader), meta["geometry_name"] or "wkb_geometry", _Centres(meta["crs"]))
        types = PLAIN | (PROBABLE if probable else {})
        del types["rank"]
        _write(output, types, found, meta["crs"], append=output.exists())
    return unsupported if probable else None


def _write_ordered(unordered: Path, output: Path, probable: bool) -> None:
    """Write polygons in their final order with their ranks. SQLite sorts them, so memory holds one batch at a time."""
    types = PLAIN | (PROBABLE if probable else {})
    names = ", ".join(f'"{name}"' for name in types if name != "rank")
    key = "expected_area" if probable else "area"  # In descending order, unknown values come last.
    place = pyogrio.read_info(unordered, layer=LAYER)["geometry_name"]
    query = f'SELECT "{place}", {names} FROM "{LAYER}" ORDER BY "{key}" DESC, id'

    def ranked(batches: Iterator[pa.RecordBatch], geometry: str) -> Iterator[pa.RecordBatch]:
        first = 1
        for batch in batches:
            columns = {name: batch[name] for name in types if name != "rank"}
            columns["rank"] = pa.array(range(first, first + batch.num_rows), pa.int64())
            first += batch.num_rows
            yield pa.record_batch({"geometry": batch[geometry], **{name: columns[name] for name in types}})

    with (
        writing(output, DataSourceError, DataLayerError),
        pyogrio.open_arrow(unordered, sql=query, use_pyarrow=True, batch_size=_BATCH) as (meta, reader),
    ):
        _write(output, types, ranked(iter(reader), meta["geometry_name"] or "wkb_geometry"), meta["crs"])


def _write(
    output: Path, types: dict[str, pa.DataType], rows: Iterator[pa.RecordBatch], crs: str, append: bool = False
) -> None:
    schema = pa.schema([pa.field("geometry", pa.binary()), *(pa.field(*field) for field in types.items())])
    pyogrio.write_arrow(
        pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in rows)),
        output,
        layer=LAYER,
        driver="GPKG",
        geometry_name="geometry",
        geometry_type="Polygon",
        crs=crs,
        append=append,
    )


class _Centres:
    """Points within polygons, in longitude and latitude on WGS 84.

    Args:
        crs: CRS of the polygons.
    """

    def __init__(self, crs: str) -> None:
        self._to_lonlat = Transformer.from_crs(crs, WGS84, always_xy=True)

    def columns(self, geometry: pa.Array) -> dict[str, pa.Array]:
        """Columns lon and lat of polygons in WKB, rounded to 1e-7 degrees, a centimetre."""
        # The centroid of a bent polygon may lie outside of it.
        points = shapely.point_on_surface(shapely.from_wkb(np.asarray(geometry, dtype=object)))
        lon, lat = self._to_lonlat.transform(shapely.get_x(points), shapely.get_y(points))
        return {"lon": pa.array(np.round(lon, 7)), "lat": pa.array(np.round(lat, 7))}
