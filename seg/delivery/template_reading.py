"""Read templates from YAML into their dataclasses, with errors that name the key."""

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from seg.delivery.template import Template
from seg.errors import ConfigError
from seg.files import read_text
from seg.terminal.plain_yaml import check_yaml

Value = TypeVar("Value")

_WORDS: dict[object, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    NoneType: "null",
    list: "a list",
    dict: "keys",
}


def read_template(path: Path) -> Template:
    """Read a template from a YAML file.

    Args:
        path: The file, in UTF-8 or GBK.

    Raises:
        ConfigError: The file cannot be read, is not YAML, or is not a template.
    """
    try:
        text = read_text(path)
        check_yaml(text)
        # BaseLoader reads every value as text, so that codes such as 0101 keep their zeros.
        content = yaml.load(text, Loader=yaml.BaseLoader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); wanted a template in YAML") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 or GBK text (byte {error.start}); wanted a template in YAML") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())[:200]}); correct it") from error
    try:
        return _built(Template, content, "")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _built(kind: type[Value], content: object, where: str) -> Value:
    """Build a dataclass from a mapping."""
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where or 'the template'} is {_shown(content)}; wanted keys and values")
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for key in content:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"the nearest is '{near[0]}'" if near else f"wanted {', '.join(known)}"
            raise ConfigError(f"unknown key '{key}'{' in ' + where if where else ''}; {hint}")
    hints = get_type_hints(kind)
    missing = [
        field.name
        for field in fields(kind)  # type: ignore[arg-type]
        if field.name not in content and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        raise ConfigError(f"{where or 'the template'} has no '{missing[0]}'; add it")
    values = {key: _value(hints[key], value, f"{where}.{key}" if where else key) for key, value in content.items()}
    return kind(**values)


def _value(hint: object, content: object, where: str) -> object:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return _of_union(inner, content, where)
    if origin is Literal:
        if content not in inner:
            raise ConfigError(f"{where} is {_shown(content)}; wanted {' or '.join(map(str, inner))}")
        return content
    if origin is list and isinstance(content, list):
        return [_value(inner[0], item, f"{where}[{place}]") for place, item in enumerate(content)]
    if origin is Mapping and isinstance(content, Mapping):
        return {str(key): _value(inner[1], value, f"{where}.{key}") for key, value in content.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return _built(hint, content, where)
    plain = _plain(hint, content)
    if plain is None:
        raise ConfigError(f"{where} is {_shown(content)}; wanted {_WORDS.get(origin or hint, 'keys and values')}")
    return plain


def _of_union(kinds: tuple[object, ...], content: object, where: str) -> object:
    if NoneType in kinds and content in ("null", "~", ""):
        return None
    others = [kind for kind in kinds if kind is not NoneType]
    for kind in others:
        if isinstance(content, get_origin(kind) or str):
            return _value(kind, content, where)
    return _value(others[0], content, where)


def _plain(hint: object, content: object) -> object | None:
    """Convert a text to a type; None if the text is not a value of the type."""
    if not isinstance(content, str):
        return None
    if hint is bool:
        return {"true": True, "false": False}.get(content.lower())
    if hint is int:
        return int(content) if content.isascii() and content.isdigit() and len(content) < 19 else None
    return content if hint is str else None


def _shown(content: object) -> str:
    return f"'{content}'" if isinstance(content, str) else "a list" if isinstance(content, list) else "a mapping"
