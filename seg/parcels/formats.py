"""Write parcels as GeoPackage, GeoParquet or GeoJSON, batch by batch."""

import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer

from seg.errors import ConfigError, WriteError
from seg.files import writing
from seg.parcels.spool import SpooledParcels
from seg.raster.chips import Polygons
from seg.raster.grid import Grid
from seg.raster.ground.outlines import on_map
from seg.raster.ground.pixel_areas import SQUARE_METRES_PER_HECTARE

WGS84 = "EPSG:4326"
FORMATS = {
    ".gpkg": "GPKG",
    ".parquet": "Parquet",
    ".geoparquet": "Parquet",
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
}
"""Formats by the suffix of the file."""


def format_of(output: Path) -> str:
    """Format of a file, from its suffix.

    Raises:
        ConfigError: The suffix is none of FORMATS.
    """
    if output.suffix.lower() not in FORMATS:
        raise ConfigError(f"{output}: wanted a file name that ends in {', '.join(FORMATS)}; name another output")
    return FORMATS[output.suffix.lower()]


COLUMNS = ("id", "area", "perimeter", "mean_probability", "uncertain_share")
"""Columns of parcels without the geometry; the last two exist only with probabilities."""


def require_own_table(path: Path, layer: str, columns: Collection[str]) -> None:
    """Check that a file of polygons may be replaced: it is absent, empty, or has only known layers and columns.

    Args:
        path: The file.
        layer: Name of the only layer that it may have, for a GeoPackage.
        columns: Names of the columns that it may have.

    Raises:
        ConfigError: The file is not a table, or it has another layer or column, which a user may have added.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    if format_of(path) != "GPKG":
        found = _columns(path, None)
    else:
        others = [name for name in _layers(path) if name != layer]
        if others:
            raise ConfigError(f"{path}: holds the layer {others[0]}, which would be lost; name another output")
        found = _columns(path, layer)
    foreign = [name for name in found if name not in columns]
    if foreign or "id" not in found:
        problem = f"a column {foreign[0]}" if foreign else "no column id"
        raise ConfigError(f"{path}: has {problem}, so this project did not write it; move it or name another output")


def _layers(path: Path) -> list[str]:
    try:
        return [str(name) for name, _ in pyogrio.list_layers(path)]
    except (DataSourceError, DataLayerError):
        return []


def _columns(path: Path, layer: str | None) -> list[str]:
    """Columns of a table without its geometry; empty if the file cannot be read as a table."""
    try:
        if format_of(path) == "Parquet":
            return [name for name in pq.read_schema(path).names if name != "geometry"]
        return [str(name) for name in pyogrio.read_info(path, layer=layer)["fields"]]
    except (DataSourceError, DataLayerError, pa.ArrowInvalid, OSError):
        return []


class ParcelTable:
    """Convert parcels on the pixel lattice to rows of a table, in the CRS of the output.

    Args:
        grid: Grid of the map.
        kind: Format of the output; GeoJSON is in longitude and latitude on WGS 84 (RFC 7946).
        probability: Add the columns of probabilities.

    Attributes:
        crs: CRS of the output.
        schema: Columns of the table.
    """

    def __init__(self, grid: Grid, kind: str, probability: bool) -> None:
        assert grid.crs is not None  # GroundMeasure has rejected grids without a CRS.
        self._grid, self._probability = grid, probability
        crs = CRS.from_wkt(grid.crs.to_wkt())
        self.crs = CRS.from_user_input(WGS84) if kind == "GeoJSON" else crs
        self._project = Transformer.from_crs(crs, self.crs, always_xy=True) if kind == "GeoJSON" else None
        numbers = ["area", "perimeter"] + ["mean_probability", "uncertain_share"] * probability
        # GeoArrow's metadata tells GDAL which column holds the geometry.
        geometry = pa.field("geometry", pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})
        self.schema = pa.schema(
            [pa.field("id", pa.string()), geometry, *(pa.field(name, pa.float64()) for name in numbers)]
        )

    def batch(self, parcels: SpooledParcels) -> pa.RecordBatch:
        """Rows of parcels: id, geometry, area in hectares, perimeter in metres; optionally probabilities, 0 to 1."""
        rows, columns = np.divmod(parcels.first_pixels, self._grid.width)
        ids = [f"r{row}c{column}" for row, column in zip(rows.tolist(), columns.tolist(), strict=True)]
        areas, perimeters = parcels.sizes.T
        numbers = [areas / SQUARE_METRES_PER_HECTARE, perimeters]
        arrays = [pa.array(ids), pa.array(shapely.to_wkb(self._placed(parcels.polygons)), pa.binary())]
        if self._probability:
            valid, percent, uncertain = parcels.tallies.T
            with np.errstate(invalid="ignore"):
                numbers += [percent / valid / 100, uncertain / valid]
        arrays += [pa.array(values, pa.float64(), from_pandas=True) for values in numbers]
        return pa.record_batch(arrays, schema=self.schema)

    def _placed(self, polygons: Polygons) -> Polygons:
        placed = shapely.transform(polygons, lambda lattice: on_map(self._grid, lattice))
        if self._project is not None:
            placed = shapely.transform(placed, self._project.transform, interleaved=False)
        oriented: Polygons = shapely.orient_polygons(placed)
        return oriented


def write_table(output: Path, layer: str, table: ParcelTable, batches: Iterable[pa.RecordBatch]) -> None:
    """Write rows batch by batch.

    Args:
        output: The file, which must not exist; its name determines the format.
        layer: Name of the layer.
        table: Columns and CRS.
        batches: The rows.

    Raises:
        WriteError: The rows cannot be stored.
    """
    kind = format_of(output)
    if kind == "Parquet":
        _write_parquet(output, table, batches)
        return
    failures: list[BaseException] = []
    reader = pa.RecordBatchReader.from_batches(table.schema, _watched(batches, failures))
    options = {"RFC7946": "YES"} if kind == "GeoJSON" else {}
    try:
        with writing(output, DataSourceError, DataLayerError, RuntimeError):
            pyogrio.write_arrow(
                reader,
                output,
                layer=layer,
                driver=kind,
                geometry_name="geometry",
                geometry_type="Polygon",
                crs=table.crs.to_wkt(),
                layer_options=options,
            )
    except WriteError as error:
        if failures:  # pyogrio hides this error: it only reports missing rows.
            raise failures[0] from error
        raise


def _watched(batches: Iterable[pa.RecordBatch], failures: list[BaseException]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except BaseException as error:
        failures.append(error)
        raise


def _write_parquet(output: Path, table: ParcelTable, batches: Iterable[pa.RecordBatch]) -> None:
    """GeoParquet 1.1.0, https://geoparquet.org/releases/v1.1.0/."""
    geometry = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": table.crs.to_json_dict(),
        "orientation": "counterclockwise",
        "edges": "planar",
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
    plain = pa.schema([pa.field(field.name, field.type) for field in table.schema], {"geo": json.dumps(geo)})
    with writing(output, pa.ArrowException), pq.ParquetWriter(output, plain, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(pa.record_batch(batch.columns, schema=plain))
