"""Expressions for field values: columns, constants, areas, record numbers, and their concatenation.

Expressions cannot run code. An expression is one or several terms joined by `+`:

- `parcel.NAME`: column of the parcels;
- `zone.NAME`: column of the zone that holds the parcel;
- `value.NAME`: constant of the template's `values`;
- `'text'` or a number: constant;
- `area_m2`, `area_mu`, `area_ha`: geodesic area of the delivered polygon, rounded to the decimals of the field;
- `number` or `number(8)`: number of the record in its layer, from 1; `number(8)` adds leading zeros up to eight digits.

Several terms are joined as text. If one term has no value, the expression has no value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seg.errors import ConfigError
from seg.raster.ground.outlines import Floats

AREAS = {"area_m2": 1.0, "area_mu": 15 / 10_000, "area_ha": 1 / 10_000}
"""Factor from square metres to the unit of each area term."""

Table = Literal["parcel", "zone", "value", "area", "number", "constant"]

_TERM = re.compile(
    r"\s*(?:(?P<table>parcel|zone|value)\.(?P<column>[^\W\d]\w*)"
    r"|(?P<area>area_m2|area_mu|area_ha)\b"
    r"|number\b(?:\(\s*(?P<digits>\d{1,2})\s*\))?(?P<number>)"
    r"|'(?P<text>[^']*)'"
    r"|(?P<constant>-?\d{1,15}(?:\.\d{1,15})?))\s*"
)


@dataclass(frozen=True)
class Term:
    """One term of an expression.

    Attributes:
        table: Table of a column (parcel, zone or value), or kind of another term.
        name: Name of the column, text of the constant, name of the area; empty for a number.
        digits: Digits of a record number with leading zeros; 0 for a plain number.
    """

    table: Table
    name: str
    digits: int = 0


@dataclass(frozen=True)
class Rows:
    """Records of one zone, for which expressions are evaluated.

    Attributes:
        parcels: Columns of the parcels, N rows.
        zone: Values of the zone by column.
        values: Constants of the template.
        areas_m2: (N,) geodesic areas in square metres.
        first_number: Number of the first record in its layer.
    """

    parcels: pa.RecordBatch
    zone: Mapping[str, object]
    values: Mapping[str, str]
    areas_m2: Floats
    first_number: int


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes:
        terms: At least one term.
    """

    terms: tuple[Term, ...]

    def of(self, rows: Rows) -> pa.Array:
        """Values of N records. A single term keeps its type; several terms give text.

        Args:
            rows: The records.
        """
        values = [_values(term, rows) for term in self.terms]
        if len(values) == 1:
            return values[0]
        texts = [array.cast(pa.string()) for array in values]
        return pc.binary_join_element_wise(*texts, "", null_handling="emit_null")


def parsed(text: str, where: str) -> Expression:
    """Parse an expression.

    Args:
        text: The expression.
        where: Name of the field, for errors.

    Raises:
        ConfigError: The text is not an expression.
    """
    terms, place = [], 0
    while True:
        found = _TERM.match(text, place)
        if found is None:
            raise ConfigError(
                f'{where}: source is "{text}", but "{text[place:][:20]}" does not begin with a term; wanted terms such '
                "as parcel.id, zone.code, value.year, 'text', 12, area_m2, area_mu, area_ha, number(8), joined by +"
            )
        terms.append(_term(found))
        place = found.end()
        if place == len(text):
            return Expression(tuple(terms))
        if text[place] != "+":
            raise ConfigError(f'{where}: source is "{text}"; wanted + before "{text[place:][:20]}"')
        place += 1


def _term(found: re.Match[str]) -> Term:
    parts = found.groupdict()
    if parts["table"]:
        tables: dict[str, Table] = {"parcel": "parcel", "zone": "zone", "value": "value"}
        return Term(tables[parts["table"]], parts["column"])
    if parts["area"]:
        return Term("area", parts["area"])
    if parts["number"] is not None:
        return Term("number", "", int(parts["digits"] or 0))
    return Term("constant", parts["constant"] if parts["text"] is None else parts["text"])


def _values(term: Term, rows: Rows) -> pa.Array:
    count = len(rows.areas_m2)
    if term.table == "parcel":
        return rows.parcels.column(term.name)
    if term.table == "area":
        return pa.array(rows.areas_m2 * AREAS[term.name])
    if term.table == "number":
        numbers = np.arange(rows.first_number, rows.first_number + count)
        if not term.digits:
            return pa.array(numbers)
        return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width=term.digits, padding="0")
    constant = {"zone": rows.zone, "value": rows.values}.get(term.table, {}).get(term.name)
    if term.table == "constant":
        constant = term.name
    return pa.repeat(pa.scalar(None, pa.string()) if constant is None else pa.scalar(constant), count)
