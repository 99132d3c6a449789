"""Rows of parcels, and the files that hold them, written batch by batch."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS

from seg.errors import ConfigError
from seg.files import writing
from seg.parcels.attributes import Attributes, LargestOverlap
from seg.parcels.shapefile import DECIMALS, WIDTH
from seg.parcels.spool import SpooledParcels
from seg.parcels.target_crs import Projection, longitude_of, named_crs
from seg.parcels.vector_files import RESERVED, Layer, format_of, geometry_field, write_layer
from seg.raster.chips import Polygons
from seg.raster.grid import Grid
from seg.raster.ground.outlines import on_map
from seg.raster.ground.pixel_areas import SQUARE_METRES_PER_HECTARE

WGS84 = "EPSG:4326"

COLUMNS = ("id", "area", "perimeter", "mean_probability", "uncertain_share")
"""Columns of parcels without the geometry; the last two exist only with probabilities."""


def require_own_table(path: Path, layer: str, columns: Collection[str]) -> None:
    """Check that a file of polygons may be replaced: it is absent, empty, or has only known layers and columns.

    Args:
        path: The file.
        layer: Name of the only layer that a GeoPackage or a File Geodatabase may have.
        columns: Names of the columns that the file may have.

    Raises:
        ConfigError: The file is not a table, or it has another layer or column, which a user may have added.
    """
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return
    if format_of(path) not in {"GPKG", "OpenFileGDB"}:
        found = _columns(path, None)
    else:
        others = [name for name in _layers(path) if name not in {layer, "layer_styles"}]  # QGIS stores styles.
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
        crs: CRS of the output or a family of zones, as in `named_crs`; None for the CRS of the map.
        attributes: Layer whose columns the parcels get by location; None for no further columns.

    Attributes:
        crs: CRS of the output.
        schema: Columns of the table.

    Raises:
        ConfigError: The CRS is unknown or does not fit the format, or a column of the attributes has the name of a
            column of the parcels.
        RasterError: The attributes cannot be placed on the map.
    """

    def __init__(
        self,
        grid: Grid,
        kind: str,
        probability: bool,
        crs: str | None = None,
        attributes: Attributes | None = None,
    ) -> None:
        assert grid.crs is not None  # GroundMeasure has rejected grids without a CRS.
        self._grid, self._probability = grid, probability
        source = CRS.from_wkt(grid.crs.to_wkt())
        if crs is not None and kind == "GeoJSON":
            raise ConfigError(f"--crs is {crs}, but GeoJSON is always in WGS 84 (RFC 7946); write a .gpkg")
        centre = grid.transform @ (grid.width / 2, grid.height / 2)
        self.crs = source
        if crs is not None:
            self.crs = named_crs(crs, longitude_of(source, *centre), "--crs")
        elif kind == "GeoJSON":
            self.crs = CRS.from_user_input(WGS84)
        self._project = Projection(source, self.crs, str(grid.path))
        self._attributes = None if attributes is None else _Joined(attributes, grid, source)
        added = [] if attributes is None else list(attributes.table.schema)
        self.schema = pa.schema([*_own_columns(grid, probability), *added])
        for field in added:
            if field.name.lower() in {*RESERVED, *COLUMNS}:
                raise ConfigError(
                    f"--attributes: the column '{field.name}' has a name that parcels or their format use; rename it"
                )

    def batch(self, parcels: SpooledParcels) -> pa.RecordBatch:
        """Rows of parcels: id, geometry, area in hectares, perimeter in metres; then probabilities and attributes."""
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
        if self._attributes is not None:
            arrays += self._attributes.columns(parcels.polygons)
        return pa.record_batch(arrays, schema=self.schema)

    def _placed(self, polygons: Polygons) -> Polygons:
        placed = self._project.polygons(shapely.transform(polygons, lambda lattice: on_map(self._grid, lattice)))
        oriented: Polygons = shapely.orient_polygons(placed)
        return oriented


class _Joined:
    """Columns of attributes for parcels on the pixel lattice."""

    def __init__(self, attributes: Attributes, grid: Grid, crs: CRS) -> None:
        back = ~grid.transform
        placed = shapely.transform(attributes.placed(crs), lambda xy: np.column_stack(back @ tuple(xy.T)))
        self._overlap, self._table = LargestOverlap(placed), attributes.table

    def columns(self, polygons: Polygons) -> list[pa.Array]:
        best = self._overlap.of(polygons)
        taken = self._table.take(pa.array(best, mask=best < 0))
        return [column.combine_chunks() for column in taken.columns]


def _own_columns(grid: Grid, probability: bool) -> list[pa.Field]:
    longest = len(f"r{grid.height}c{grid.width}")
    numbers = ["area", "perimeter"] + ["mean_probability", "uncertain_share"] * probability
    # A shapefile needs widths: 21 characters are a sign, nine digits, a point and ten decimals.
    digits = {WIDTH: "21", DECIMALS: "10"}
    return [
        pa.field("id", pa.string(), metadata={WIDTH: str(longest)}),
        geometry_field(),
        *(pa.field(name, pa.float64(), metadata=digits) for name in numbers),
    ]


def write_table(output: Path, layer: Layer, batches: Iterable[pa.RecordBatch]) -> None:
    """Write rows batch by batch.

    Args:
        output: The file, which must not exist; its name determines the format.
        layer: Name, columns and CRS.
        batches: The rows.

    Raises:
        ConfigError: The rows do not fit into a shapefile.
        WriteError: The rows cannot be stored.
    """
    if format_of(output) == "Parquet":
        _write_parquet(output, layer, batches)
    else:
        write_layer(output, layer, batches)


def _write_parquet(output: Path, layer: Layer, batches: Iterable[pa.RecordBatch]) -> None:
    """GeoParquet 1.1.0, https://geoparquet.org/releases/v1.1.0/."""
    geometry = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": layer.crs.to_json_dict(),
        "orientation": "counterclockwise",
        "edges": "planar",
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
    plain = pa.schema([pa.field(field.name, field.type) for field in layer.schema], {"geo": json.dumps(geo)})
    with writing(output, pa.ArrowException), pq.ParquetWriter(output, plain, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(pa.record_batch(batch.columns, schema=plain))
