"""Schema of a template: dataclasses that check their values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from seg.delivery.expressions import AREAS, Expression, parsed
from seg.errors import ConfigError
from seg.parcels.formats import WGS84
from seg.parcels.settings import square_metres
from seg.parcels.shapefile import Encoding, dbf_names
from seg.parcels.target_crs import named_crs
from seg.parcels.vector_files import FORMATS, RESERVED

Kind = Literal["text", "integer", "real", "date"]
"""Types of fields."""

ONE_LAYER = {"Parquet", "GeoJSON", "ESRI Shapefile"}
"""Formats whose files hold one layer, which has the name of the file."""

MAP_CRS = "map"
"""Value of `crs` that stands for the CRS of the parcels."""

MOST_DIGITS = 18
"""Largest width of a whole number. A real number may be three characters wider: a digit, a sign and a point."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, kw_only=True)
class FieldRule:
    """A field of the delivered layers.

    Args:
        name: Name of the field.
        type: text, integer, real or date.
        width: Characters of a text (bytes in a shapefile), or digits of a number, including the point.
        decimals: Digits after the point of a real number.
        alias: Readable name, which File Geodatabases and GeoPackages store.
        source: Expression of the value (see `seg.delivery.expressions`); null leaves the field empty.
        codes: Mapping from values of the source to delivered values, or list of values that are delivered unchanged.
            All values of the source must be listed.
        required: True if every record must have a value.
        unique: True if no two records of the delivery may have the same value.

    Raises:
        ConfigError: A value is out of range, or the source is not an expression.
    """

    name: str
    type: Kind
    width: int | None = None
    decimals: int | None = None
    alias: str | None = None
    source: str | None = None
    codes: Mapping[str, str] | list[str] | None = None
    required: bool = False
    unique: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        this = f"field '{self.name}'"
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"{this}: wanted a name of letters, digits and underscores that begins with a letter")
        _ = self.expression
        if self.type in {"text", "real"} and self.width is None:
            raise ConfigError(f"{this}: has no width; wanted the largest number of characters or digits")
        most = {"text": 65_535, "integer": MOST_DIGITS, "real": MOST_DIGITS + 3, "date": 0}[self.type]
        if self.width is not None and not 1 <= self.width <= most:
            wanted = f"1 to {most}" if most else "none for a date"
            raise ConfigError(f"{this}: width is {self.width}; wanted {wanted}")
        if (self.decimals is not None) != (self.type == "real"):
            raise ConfigError(
                f"{this}: decimals is {self.decimals}; wanted decimals for real numbers, and for no other type"
            )
        if self.decimals is not None and not 0 <= self.decimals <= (self.width or 0) - 3:
            raise ConfigError(f"{this}: decimals is {self.decimals}; wanted 0 to {(self.width or 0) - 3}")
        self._check_codes(this)

    def _check_codes(self, this: str) -> None:
        if self.codes is not None and self.type == "date":
            raise ConfigError(f"{this}: a date has no codes; remove them")
        for code in (self.code_map or {}).values() if self.type in {"integer", "real"} else ():
            if not re.fullmatch(r"-?\d+(\.\d+)?", code):
                raise ConfigError(f"{this}: the code '{code}' is not a number; wanted a number, or the type text")

    @cached_property
    def expression(self) -> Expression | None:
        """The parsed source."""
        return None if self.source is None else parsed(self.source, f"field '{self.name}'")

    @cached_property
    def code_map(self) -> dict[str, str] | None:
        """Delivered value for each value of the source; None if the field has no codes."""
        if self.codes is None:
            return None
        return dict(self.codes) if isinstance(self.codes, Mapping) else {code: code for code in self.codes}

    @property
    def area_unit(self) -> str | None:
        """Area term that is the whole source, such as "area_m2"; None for other sources."""
        terms = () if self.expression is None else self.expression.terms
        return terms[0].name if len(terms) == 1 and terms[0].name in AREAS else None


@dataclass(frozen=True, kw_only=True)
class LeastArea:
    """Smallest area of a parcel, before zones cut it.

    Args:
        others: Smallest area of parcels whose class is not in `classes`, such as 400m2; 0 keeps all parcels.
        by: Field that holds the class; null if there are no classes.
        classes: Smallest area by class.

    Raises:
        ConfigError: An area is not a number with a unit, or there are classes without a field.
    """

    others: str = "0"
    by: str | None = None
    classes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the areas."""
        _ = self.square_metres
        if bool(self.classes) != (self.by is not None):
            raise ConfigError("least_area has only one of the keys 'classes' and 'by'; give both or none")

    @cached_property
    def square_metres(self) -> dict[str | None, float]:
        """Smallest area in square metres by class; None stands for all other classes."""
        found: dict[str | None, float] = {None: square_metres(self.others, "least_area")}
        return found | {value: square_metres(size, "least_area") for value, size in self.classes.items()}


@dataclass(frozen=True, kw_only=True)
class Template:
    """Form of a delivery.

    Args:
        file: Path of the files in the delivered folder. {zone.x} is the value of the column x of the zone, {value.x}
            the value x of `values`. The suffix decides the format.
        fields: Fields in their order.
        layer: Name of the layer, with the same placeholders; null for a format whose files hold one layer. Such a layer
            has the name of its file.
        note: Text that is printed when the template is used.
        values: Constants for names and sources.
        crs: CRS of the layers, such as EPSG:4526; or map, the CRS of the parcels; or a family of Gauss-Kruger zones
            such as cgcs2000-3deg: each layer gets the Gauss-Kruger zone at the centre of its polygon in the zones file.
        encoding: Encoding of shapefiles, utf-8 or gbk.
        records: Largest number of records in a file; null for no limit. More records are split into files whose names
            end in _1, _2 and so on.
        least_area: Smallest parcels.

    Raises:
        ConfigError: A value is out of range, or parts of the template contradict each other.
    """

    file: str
    fields: list[FieldRule]
    layer: str | None = None
    note: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    crs: str = MAP_CRS
    encoding: Encoding = "utf-8"
    records: int | None = None
    least_area: LeastArea = LeastArea()

    def __post_init__(self) -> None:
        """Check the values and how they fit together."""
        if self.crs != MAP_CRS:
            named_crs(self.crs, None, "crs")
        if self.records is not None and self.records < 1:
            raise ConfigError(f"records is {self.records}; wanted 1 or more, or null")
        path = PurePosixPath(self.file)
        if path.suffix not in FORMATS:
            raise ConfigError(f"file is {self.file}; wanted a name that ends in {', '.join(FORMATS)}")
        if path.is_absolute() or ".." in path.parts or "\\" in self.file:
            raise ConfigError(f"file is {self.file}; wanted a path within the delivered folder, with / between folders")
        if (self.layer is None) != self.is_single:
            wanted = "null, since its file holds one layer" if self.is_single else "a name"
            raise ConfigError(f"layer is {self.layer}; wanted {wanted}")
        if self.format == "GeoJSON" and self.crs.upper() != WGS84:
            raise ConfigError(f"crs is {self.crs}, but GeoJSON is always in {WGS84}; set crs to {WGS84}")
        self._check_fields()

    def _check_fields(self) -> None:
        names = [rule.name.upper() for rule in self.fields]
        double = next((name for name in names if names.count(name) > 1), None)
        for rule in self.fields:
            if rule.name.lower() in RESERVED:
                raise ConfigError(f"field '{rule.name}': the format uses this name itself; rename it")
        if double is not None or not names:
            raise ConfigError(f"fields has {'two fields ' + double if double else 'no field'}; wanted different fields")
        if self.least_area.by is not None:
            self._check_classes(self.least_area.by)
        for place in [*self.placeholders, *(term for rule in self.fields for term in self._terms(rule))]:
            table, _, name = place.partition(".")
            if table == "value" and name not in self.values:
                raise ConfigError(f"'{place}': values has no '{name}'; add it")
        if self.format == "ESRI Shapefile":
            for name, cut in dbf_names([rule.name for rule in self.fields], self.encoding).items():
                if name != cut:
                    raise ConfigError(
                        f"field '{name}': its name is too long for a shapefile in {self.encoding}; shorten it"
                    )

    def _check_classes(self, name: str) -> None:
        rule = next((rule for rule in self.fields if rule.name == name), None)
        if rule is None or rule.expression is None:
            raise ConfigError(f"least_area: the template has no field '{name}' with a source; name one of its fields")
        if any(term.table in {"area", "number"} for term in rule.expression.terms):
            raise ConfigError(
                f"least_area: the source of '{name}' is {rule.source}; wanted a source without an area or a number"
            )

    @staticmethod
    def _terms(rule: FieldRule) -> list[str]:
        return [] if rule.expression is None else [f"{term.table}.{term.name}" for term in rule.expression.terms]

    @property
    def format(self) -> str:
        """Format of the files."""
        return FORMATS[PurePosixPath(self.file).suffix]

    @property
    def is_single(self) -> bool:
        """True if a file holds one layer."""
        return self.format in ONE_LAYER

    @cached_property
    def placeholders(self) -> list[str]:
        """Names between braces in the file and the layer.

        Raises:
            ConfigError: A name is neither zone.x nor value.x.
        """
        found = [*_PLACEHOLDER.findall(self.file), *_PLACEHOLDER.findall(self.layer or "")]
        for name in found:
            table, _, column = name.partition(".")
            if table not in {"zone", "value"} or not column:
                raise ConfigError(f"{{{name}}}: unknown placeholder; wanted {{zone.COLUMN}} or {{value.NAME}}")
        return found

    @property
    def zone_columns(self) -> set[str]:
        """Columns of the zones that the template uses; empty if the delivery has no zones."""
        terms = [*self.placeholders, *(term for rule in self.fields for term in self._terms(rule))]
        return {term.removeprefix("zone.") for term in terms if term.startswith("zone.")}

    @property
    def parcel_columns(self) -> set[str]:
        """Columns of the parcels that the template uses."""
        terms = [term for rule in self.fields for term in self._terms(rule)]
        return {term.removeprefix("parcel.") for term in terms if term.startswith("parcel.")}

    def names(self, zone: Mapping[str, object]) -> tuple[PurePosixPath, str]:
        """File and layer of a zone.

        Args:
            zone: Values of the zone by column.

        Raises:
            ConfigError: A value of the zone is missing, or cannot be part of a file name or of a layer name.
        """
        file = PurePosixPath(_PLACEHOLDER.sub(lambda found: self._filled(found[1], zone), self.file))
        layer = file.stem if self.layer is None else self.layer
        layer = _PLACEHOLDER.sub(lambda found: self._filled(found[1], zone), layer)
        if not self.is_single and not _NAME.fullmatch(layer):
            raise ConfigError(f"the layer '{layer}': wanted letters, digits and underscores, beginning with a letter")
        return file, layer

    def _filled(self, place: str, zone: Mapping[str, object]) -> str:
        table, _, name = place.partition(".")
        value = self.values[name] if table == "value" else zone.get(name)
        if value is None or not re.fullmatch(r"[\w.\- ]+", str(value)) or str(value).strip(". ") != str(value):
            raise ConfigError(f"{{{place}}} is '{value}', which cannot be part of a name; correct the zones or values")
        return str(value)
