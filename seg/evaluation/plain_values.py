"""Values of JSON files as dataclasses, checked against the types of their fields."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType
from typing import TYPE_CHECKING, TypeVar, cast, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Kind = TypeVar("Kind")

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
"""Names of the types of plain values in messages."""


def from_plain(kind: type[Kind], value: object) -> Kind:
    """Make a dataclass from the plain values of a JSON file.

    The fields may be text, numbers, other dataclasses, `tuple[X, ...]`, `dict[str, X]`, `X | None`, and `object` for
    any value. Keys of the file that do not match a field are ignored.

    Args:
        kind: The dataclass.
        value: Values by field name; lists become tuples.

    Raises:
        ValueError: A value is missing or has another type. The message gives the path of the value, such as
            "strata.3.pixels".
    """
    return cast("Kind", _value(kind, value, ""))


def _value(hint: object, value: object, place: str) -> object:
    kinds, origin = get_args(hint), get_origin(hint)
    if hint is object:
        return value
    if NoneType in kinds:
        return None if value is None else _value(kinds[0], value, place)
    if isinstance(hint, type) and is_dataclass(hint):
        return _made(hint, _mapping(value, place), place)
    if origin is dict:
        return {name: _value(kinds[1], item, _within(place, name)) for name, item in _mapping(value, place).items()}
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _misfit(value, "a list", place)
        return tuple(_value(kinds[0], item, _within(place, number)) for number, item in enumerate(value))
    wanted = (int, float) if hint is float else cast("type", hint)
    if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
        raise _misfit(value, _WORDS[cast("type", hint)], place)
    if isinstance(value, float) and not math.isfinite(value):
        raise _misfit(value, "a finite number", place)
    return value


def _made(kind: type["DataclassInstance"], values: Mapping[str, object], place: str) -> object:
    hints = get_type_hints(kind)
    missing = [one.name for one in fields(kind) if one.name not in values and one.default is MISSING]
    if missing:
        raise ValueError(f"{place or 'it'} has no {missing[0]}")
    return kind(
        **{
            one.name: _value(hints[one.name], values[one.name], _within(place, one.name))
            for one in fields(kind)
            if one.name in values
        }
    )


def _mapping(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _misfit(value, "values by name", place)
    return value


def _within(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)


def _misfit(value: object, wanted: str, place: str) -> ValueError:
    shown = " ".join(repr(value).split())
    return ValueError(f"{place or 'it'} is {shown if len(shown) <= 40 else shown[:37] + '...'}; wanted {wanted}")
