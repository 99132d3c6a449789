"""Gained and lost cropland as polygons in one GeoPackage, each with its area and probability."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.windows import Window

from seg.evaluation.change.classes import CHANGE_NAMES, GAINED, LOST
from seg.evaluation.settings import ChangeSettings
from seg.files import put_in_place, work_folder, writing
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.parcels.settings import PolygonSettings
from seg.parcels.write_parcels import ParcelFile, write_parcels
from seg.raster.grid import open_raster
from seg.raster.writing.vrt import vrt_root
from seg.terminal.progress import progress_bar

LAYER = "change"
DIRECTIONS = {GAINED: "gained", LOST: "lost"}

COLUMNS = ("id", "change", "area", "perimeter", "mean_probability", "unsupported_share", "supported")
"""Columns of the polygons; the last three exist only with probabilities."""

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

    The columns are id, change ("gained" or "lost"), area in hectares and perimeter in metres. If there are
    probabilities, there are three more columns: mean_probability, unsupported_share (share of the unsupported pixels)
    and supported (true if the mean probability is above the confidence).

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
        finished = folder / output.name
        for value, direction in DIRECTIONS.items():
            only = folder / f"{direction}.vrt"
            _write_only(only, change, value)
            with progress_bar(f"{direction} cropland") as bar:
                traced = write_parcels(only, folder / f"{direction}.gpkg", tracing, bar.move)
            unsupported = _append(traced, direction, finished, settings.confidence, probability is not None)
            found[direction] = ChangePolygons(traced.parcels, traced.hectares, unsupported)
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

    def rows(batches: Iterator[pa.RecordBatch], geometry: str) -> Iterator[pa.RecordBatch]:
        nonlocal unsupported
        for batch in batches:
            columns = {"id": batch["id"], "change": pa.array([direction] * batch.num_rows)}
            columns |= {name: batch[name] for name in ("area", "perimeter")}
            if probable:
                supported = pc.fill_null(pc.greater(batch["mean_probability"], confidence), False)
                unsupported += batch.num_rows - (pc.sum(supported).as_py() or 0)
                columns |= {
                    "mean_probability": batch["mean_probability"],
                    "unsupported_share": batch["uncertain_share"],
                    "supported": supported,
                }
            yield pa.record_batch({"geometry": batch[geometry], **columns})

    with (
        writing(output, DataSourceError, DataLayerError),
        pyogrio.open_arrow(traced.path, use_pyarrow=True, batch_size=_BATCH) as (meta, reader),
    ):
        batches = rows(iter(reader), meta["geometry_name"] or "wkb_geometry")
        names = {"id": pa.string(), "change": pa.string(), "area": pa.float64(), "perimeter": pa.float64()}
        if probable:
            names |= {"mean_probability": pa.float64(), "unsupported_share": pa.float64(), "supported": pa.bool_()}
        schema = pa.schema([pa.field("geometry", pa.binary()), *(pa.field(*field) for field in names.items())])
        pyogrio.write_arrow(
            pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in batches)),
            output,
            layer=LAYER,
            driver="GPKG",
            geometry_name="geometry",
            geometry_type="Polygon",
            crs=meta["crs"],
            append=output.exists(),
        )
    return unsupported if probable else None
