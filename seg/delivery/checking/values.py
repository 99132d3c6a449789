"""Faults of fields and values in a layer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seg.delivery.checking.content import Content, StoredField
from seg.delivery.expressions import AREAS, Rows
from seg.delivery.template import FieldRule, Template
from seg.errors import listed
from seg.raster.ground.outlines import Floats

AREA_TOLERANCE = 1e-6
"""Relative tolerance of areas, in addition to half a unit of the last decimal."""

Finding = tuple[str, int | None, str]
"""Kind of a fault, place of the record in the layer (None for a fault of the layer), and text."""

_WIDTHS = {"OpenFileGDB", "GPKG", "ESRI Shapefile"}
"""Formats that store the width of text; only a shapefile stores width and decimals of numbers."""

_ALIASES = {"OpenFileGDB", "GPKG"}


def field_faults(content: Content, template: Template) -> Iterator[Finding]:
    """Missing, additional and misplaced fields, and wrong types, widths, decimals and aliases.

    Args:
        content: The layer.
        template: The template.
    """
    stored = {field.name: field for field in content.fields}
    wanted = [rule.name for rule in template.fields]
    # GeoJSON has no schema: a layer without records has no fields.
    if template.format == "GeoJSON" and not content.numbers:
        return
    for rule in template.fields:
        if rule.name not in stored:
            yield "missing field", None, f"has no field {rule.name}; its fields are {listed(list(stored))}"
        else:
            yield from _form_faults(stored[rule.name], rule, content, template.format)
    for name in stored:
        if name not in wanted:
            yield "extra field", None, f"has the field {name}, which the template does not have"
    if set(stored) == set(wanted) and list(stored) != wanted:
        yield "wrong order", None, f"its fields are in the order {listed(list(stored))}; wanted {listed(wanted)}"


def _form_faults(stored: StoredField, rule: FieldRule, content: Content, form: str) -> Iterator[Finding]:
    kind = stored.kind
    if form == "OpenFileGDB" and kind.startswith("timestamp"):
        kind = "date"  # ArcGIS 10 stores dates as times
    empty = form == "GeoJSON" and content.table.column(rule.name).null_count == content.table.num_rows
    whole = form in {"ESRI Shapefile", "GeoJSON"} and (kind, rule.type) == ("integer", "real")
    if kind != rule.type and not empty and not (whole and not (form == "ESRI Shapefile" and rule.decimals)):
        yield "wrong type", None, f"field {rule.name} is {stored.kind}; wanted {rule.type}"
        return
    has_width = (form in _WIDTHS and rule.type == "text") or (form == "ESRI Shapefile" and rule.type != "date")
    if has_width and rule.width is not None and stored.width != rule.width:
        yield "wrong width", None, f"field {rule.name} has the width {stored.width}; wanted {rule.width}"
    if form == "ESRI Shapefile" and rule.type == "real" and stored.decimals != rule.decimals:
        yield "wrong decimals", None, f"field {rule.name} has {stored.decimals} decimals; wanted {rule.decimals}"
    if form in _ALIASES and rule.alias is not None and stored.alias != rule.alias:
        yield "wrong alias", None, f"field {rule.name} has the alias {stored.alias}; wanted {rule.alias}"


@dataclass(frozen=True)
class ValueCheck:
    """Check the values of a layer.

    Args:
        template: The template.
        zone: Values of the zone by column.
    """

    template: Template
    zone: Mapping[str, object]

    def faults(self, content: Content, areas_m2: Floats) -> Iterator[Finding]:
        """Missing and wrong values.

        Args:
            content: The layer.
            areas_m2: (N,) geodesic areas of its polygons; NaN where a record has no polygon.
        """
        kinds = {field.name: field.kind for field in content.fields}
        for rule in self.template.fields:
            if rule.name not in content.table.column_names:
                continue
            values = content.table.column(rule.name).combine_chunks()
            if rule.required:
                for place in _places(pc.is_null(values)):
                    yield "null key", place, f"field {rule.name} has no value, but is required"
            if rule.type == "text" and kinds.get(rule.name) == "text":
                yield from self._text_faults(values, rule)
            if rule.area_unit is not None and pa.types.is_floating(values.type):
                yield from _area_faults(values, rule, areas_m2)
            if rule.codes is not None:
                yield from _code_faults(values, rule)
            elif rule.expression is not None:
                yield from self._constant_faults(values, rule)

    def _text_faults(self, values: pa.Array, rule: FieldRule) -> Iterator[Finding]:
        lengths = pc.utf8_length(values)
        for place in _places(pc.greater(lengths, rule.width or 0)):
            text = f"field {rule.name} has {lengths[place]} characters; wanted at most {rule.width}"
            yield "wrong width", place, text

    def _constant_faults(self, values: pa.Array, rule: FieldRule) -> Iterator[Finding]:
        """Values that differ from their source, if the source consists only of constants and columns of the zone."""
        assert rule.expression is not None
        if not len(values) or any(term.table in {"parcel", "area", "number"} for term in rule.expression.terms):
            return
        rows = Rows(pa.record_batch([], names=[]), self.zone, self.template.values, np.zeros(1), 1)
        wanted = rule.expression.of(rows)[0]
        try:
            expected = wanted.cast(values.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return
        if expected.is_valid:
            for place in _places(pc.not_equal(values, expected)):
                yield "wrong value", place, f"field {rule.name} is {values[place]}; wanted {expected} ({rule.source})"


def _code_faults(values: pa.Array, rule: FieldRule) -> Iterator[Finding]:
    codes = list(dict.fromkeys((rule.code_map or {}).values()))
    if rule.type != "text":
        known = {float(code) for code in codes}
        wrong = [value is not None and float(value) not in known for value in values.to_pylist()]
        flags = pa.array(wrong, pa.bool_())
    else:
        flags = pc.and_(pc.invert(pc.is_in(values, pa.array(codes, pa.string()))), pc.is_valid(values))
    for place in _places(flags):
        yield "wrong code", place, f"field {rule.name} is {values[place]}; wanted one of {listed(codes)}"


def _area_faults(values: pa.Array, rule: FieldRule, areas_m2: Floats) -> Iterator[Finding]:
    assert rule.area_unit is not None
    wanted = areas_m2 * AREAS[rule.area_unit]
    found = values.to_numpy(zero_copy_only=False).astype(float)
    tolerance = 0.51 * 10.0 ** -(rule.decimals or 0) + AREA_TOLERANCE * np.abs(wanted)
    with np.errstate(invalid="ignore"):
        wrong = np.abs(found - wanted) > tolerance
    for place in np.flatnonzero(wrong).tolist():
        yield "wrong area", place, f"field {rule.name} is {found[place]}; its polygon has {wanted[place]:.4f}"


def _places(flags: pa.Array) -> list[int]:
    """Places of true flags; a missing flag counts as false."""
    places: list[int] = pc.indices_nonzero(pc.fill_null(flags, False)).to_pylist()
    return places
