"""Fill the fields of a layer from pieces of parcels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from pyproj import CRS

from seg.delivery.areas import AreaMeasure
from seg.delivery.cutting import WHOLE
from seg.delivery.expressions import Rows
from seg.delivery.template import FieldRule, Template
from seg.errors import ConfigError, listed
from seg.parcels.shapefile import ALIAS, DECIMALS, WIDTH
from seg.parcels.target_crs import Projection
from seg.parcels.vector_files import geometry_field
from seg.raster.ground.outlines import Floats

INTEGER32_DIGITS = 9
"""Largest width of a whole number that fits into 32 bits."""


@dataclass(frozen=True)
class PlacedRows:
    """Pieces of parcels that are large enough, in the CRS of a layer.

    Attributes:
        parcels: Columns of the parcels, N rows.
        geometry: (N,) WKB.
        areas_m2: (N,) geodesic areas in square metres.
        dropped: Number of pieces that are left out because their parcels are too small.
        dropped_m2: Area of these pieces in square metres.
    """

    parcels: pa.RecordBatch
    geometry: pa.Array
    areas_m2: Floats
    dropped: int
    dropped_m2: float


class LayerRows:
    """Convert the pieces of one zone to the records of its layer.

    Args:
        template: The template.
        zone: Values of the zone by column.
        source: CRS of the pieces.
        target: CRS of the layer.
        name: File of the parcels, for errors.

    Attributes:
        crs: CRS of the layer.
        schema: Columns of the layer.
    """

    def __init__(self, template: Template, zone: Mapping[str, object], source: CRS, target: CRS, name: str) -> None:
        self._template, self._zone, self._name = template, zone, name
        self._projection, self._measure = Projection(source, target, name), AreaMeasure(target)
        self.crs = target
        self.schema = pa.schema([*map(arrow_field, template.fields), geometry_field()])

    def placed(self, pieces: pa.RecordBatch) -> PlacedRows:
        """Project pieces, measure them and drop those of small parcels; may run in any thread.

        Args:
            pieces: Columns of the parcels, the geometry as WKB, and WHOLE.

        Raises:
            RasterError: A piece lies beyond the area of the CRS.
            ConfigError: A class has no code.
        """
        polygons = shapely.from_wkb(pieces.column("geometry").to_numpy(zero_copy_only=False))
        polygons = shapely.orient_polygons(self._projection.polygons(polygons))
        areas = self._measure.square_metres(polygons)
        whole = pieces.column(WHOLE).to_numpy()
        whole = np.where(np.isnan(whole), areas, whole)
        parcels = pieces.drop_columns(["geometry", WHOLE])
        kept = whole >= self._least(parcels, whole)
        if not kept.all():
            parcels, polygons = parcels.filter(pa.array(kept)), polygons[kept]
        geometry = pa.array(shapely.to_wkb(polygons), pa.binary())
        return PlacedRows(parcels, geometry, areas[kept], int((~kept).sum()), float(areas[~kept].sum()))

    def _least(self, parcels: pa.RecordBatch, whole: Floats) -> Floats:
        least = self._template.least_area
        if least.by is None:
            return np.full(len(whole), least.square_metres[None])
        [rule] = [rule for rule in self._template.fields if rule.name == least.by]
        classes = self._values(rule, Rows(parcels, self._zone, self._template.values, whole, 1))
        sizes, others = least.square_metres, least.square_metres[None]
        return np.array([sizes.get(value, others) for value in classes.cast(pa.string()).to_pylist()], dtype=np.float64)

    def filled(self, placed: PlacedRows, first_number: int) -> pa.RecordBatch:
        """Records of the layer.

        Args:
            placed: The pieces.
            first_number: Number of the first record in its layer, from 1.

        Raises:
            ConfigError: A value does not fit into its field, has no code, or is missing in a required field.
        """
        rows = Rows(placed.parcels, self._zone, self._template.values, placed.areas_m2, first_number)
        columns = [self._values(rule, rows) for rule in self._template.fields]
        return pa.record_batch([*columns, placed.geometry], schema=self.schema)

    def _values(self, rule: FieldRule, rows: Rows) -> pa.Array:
        kind = arrow_field(rule).type
        if rule.expression is None:
            return pa.nulls(len(rows.areas_m2), kind)
        values = rule.expression.of(rows)
        if rule.code_map is not None:
            values = self._coded(values, rule, rule.code_map)
        if rule.required and values.null_count:
            raise ConfigError(f"{self._name}: field '{rule.name}' is required, but {rule.source} is missing")
        try:
            return _fitted(values, rule, kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ConfigError(
                f"{self._name}: field '{rule.name}': {rule.source} has a value that is not of type {rule.type} "
                f"({' '.join(str(error).split())[:120]}); correct the source"
            ) from error
        except ConfigError as error:
            raise ConfigError(f"{self._name}: field '{rule.name}': {error}") from error

    def _coded(self, values: pa.Array, rule: FieldRule, codes: Mapping[str, str]) -> pa.Array:
        texts = values.cast(pa.string())
        places = pc.index_in(texts, pa.array(list(codes), pa.string()))
        missing = texts.filter(pc.and_(pc.is_null(places), pc.is_valid(texts)))
        if len(missing):
            raise ConfigError(
                f"{self._name}: field '{rule.name}': 'codes' has no entry for '{missing[0]}' of {rule.source}; its "
                f"entries are {listed(list(codes))}; add one"
            )
        return pa.array(list(codes.values()), pa.string()).take(places)


def arrow_field(rule: FieldRule) -> pa.Field:
    """Column of a field, with width, decimals and alias in its metadata."""
    metadata = {WIDTH: rule.width, DECIMALS: rule.decimals, ALIAS: rule.alias}
    kind = {
        "text": pa.string(),
        "integer": pa.int32() if (rule.width or 0) <= INTEGER32_DIGITS else pa.int64(),
        "real": pa.float64(),
        "date": pa.date32(),
    }[rule.type]
    return pa.field(rule.name, kind, metadata={key: str(value) for key, value in metadata.items() if value is not None})


def _fitted(values: pa.Array, rule: FieldRule, kind: pa.DataType) -> pa.Array:
    """Convert values to the type of a field, and check their width."""
    if rule.type == "text":
        texts = values.cast(pa.string())
        width = rule.width or 0
        if (pc.max(pc.utf8_length(texts)).as_py() or 0) > width:
            long = texts.filter(pc.greater(pc.utf8_length(texts), width))[0].as_py()
            raise ConfigError(f"'{long[:40]}' has {len(long)} characters; the width is {width}; correct it")
        return texts
    if rule.type == "date" and pa.types.is_string(values.type):
        values = pc.strptime(values, format="%Y-%m-%d", unit="s")
    if rule.type == "real":
        numbers = values.cast(pa.float64())
        values = pc.round(numbers, ndigits=rule.decimals or 0, round_mode="half_towards_infinity")
        most = 10.0 ** ((rule.width or 0) - (rule.decimals or 0) - 1)
    else:
        most = 10.0 ** (rule.width or INTEGER32_DIGITS)
    fitted = values.cast(kind)
    if rule.type != "date":
        largest = pc.max(pc.abs(fitted)).as_py()
        if largest is not None and not largest < most:
            width = rule.width or INTEGER32_DIGITS
            raise ConfigError(f"{largest} has too many digits; the width is {width}; correct it")
    return fitted
