"""Replacement of values by unusual ones, in trees of plain values, in texts and in options."""

import json
import math
from random import Random
from typing import Any

LONG = "1" * 5000
NESTED = json.loads("[" * 200 + "]" * 200)

STRANGE: tuple[Any, ...] = (
    None,
    True,
    "",
    " ",
    "x",
    "-",
    "0",
    "null",
    "a\nb",
    "亩 ±",
    "../..",
    "/dev/null",
    "/nowhere/x.tif",
    "a" * 3000,
    0,
    -1,
    1,
    2,
    7,
    255,
    65_536,
    2**31,
    2**63,
    10**30,
    -(10**9),
    0.0,
    -0.5,
    1e-300,
    1e308,
    math.nan,
    math.inf,
    -math.inf,
    [],
    {},
    [[]],
    [None],
    [1, "a", None],
    [0] * 1000,
    {"a": {"b": []}},
    {"class_path": "os.system", "init_args": {"command": "true"}},
    NESTED,
)
"""Values of other types, and values that are out of range, empty, long or deeply nested."""

TEXTS = (
    "",
    "0",
    "-1",
    "1e400",
    "nan",
    "x",
    LONG,
    "\t",
    "\0",
    "\ufeff",
    "亩",
    "999999999",
    "../..",
    '"',
    ";",
    "&amp;&x;",
)
"""Texts that replace a word of a line."""

OPTION_VALUES = (
    "",
    " ",
    "x",
    "null",
    "true",
    "-1",
    "0",
    "1",
    "3",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "0.5",
    "1e-300",
    "99999999999999999999",
    LONG,
    "[",
    "[]",
    "[0]",
    "[1,2]",
    "[1,1,1]",
    "[a,b]",
    "[null]",
    "{",
    "{}",
    "{a: 1}",
    "{cropland: 0.5}",
    "a: b: c",
    "&a [*a]",
    "!!python/object/apply:os.getpid []",
    "亩",
    "\udcff",
    "5mu",
    "-5ha",
    "1,2,3,4",
    "EPSG:0",
    "EPSG:4326",
    ".",
    "/",
    "/dev/null",
    "nowhere/x",
    "scene.tif",
    "%s",
    "a|layername=b",
    "1 OR 1=1",
    "'",
    "x" * 5000,
)
"""Texts that replace the value of an option."""


def mutate_tree(tree: Any, random: Random) -> str:  # noqa: ANN401  # of any plain value
    """Change one value in a tree of mappings and lists in place; return a description of the change."""
    place, key, path = _place(tree, random)
    if place is None:
        return "nothing"
    kind = random.random()
    if kind < 0.15:
        del place[key]
        return f"{path} taken out"
    if kind < 0.25:
        place[key] = _nearby(place[key], random)
    elif kind < 0.32 and isinstance(place, dict):
        place[random.choice(["unknown", 7, "", f"{key} "])] = place.pop(key)
        return f"{path} renamed"
    else:
        place[key] = random.choice(STRANGE)
    return f"{path} is now {repr(place[key])[:60]}"


def _place(tree: Any, random: Random) -> tuple[Any, Any, str]:  # noqa: ANN401
    """A mapping or list of a tree, one of its keys, and its path."""
    places = [(node, key, f"{path}.{key}") for node, path in _nodes(tree, "") for key in _keys(node)]
    # Shallow values are chosen more often than by chance, since most values are deep.
    shallow = [place for place in places if place[2].count(".") <= 2]
    chosen = shallow if shallow and random.random() < 0.4 else places
    return random.choice(chosen) if chosen else (None, None, "")


def _nodes(node: Any, path: str) -> list[tuple[Any, str]]:  # noqa: ANN401
    if not isinstance(node, dict | list):
        return []
    inner = [(node[key], f"{path}.{key}") for key in _keys(node)]
    return [(node, path), *(found for value, name in inner for found in _nodes(value, name))]


def _keys(node: dict[Any, Any] | list[Any]) -> list[Any]:
    """Keys of a mapping, or the first indexes of a list."""
    return list(node) if isinstance(node, dict) else list(range(min(len(node), 50)))


def _nearby(value: Any, random: Random) -> Any:  # noqa: ANN401
    """A value of the same kind, or the same value as another type."""
    if isinstance(value, bool | str | list | dict) or value is None:
        return random.choice([str(value), [value], {"value": value}, not value])
    if isinstance(value, int | float):
        return random.choice([-value, value * 1_000_000, value + 1, value / 3, str(value), [value], float(value)])
    return None


def mutate_text(text: str, random: Random) -> tuple[str, str]:
    """Change one line, number or word of a text; return the text and a description of the change."""
    lines = text.split("\n")
    at = random.randrange(len(lines))
    words = lines[at].replace(",", " , ").replace('"', ' " ').replace("<", " < ").replace(">", " > ").split(" ")
    word = random.choice([word for word in words if word.strip()] or ["x"])
    new = random.choice(TEXTS)
    match random.randrange(5):
        case 0:
            lines[at] = lines[at].replace(word, new, 1)
            change = f"'{word[:30]}' of line {at + 1} is now {new[:20]!r}"
        case 1:
            del lines[at]
            change = f"line {at + 1} is gone"
        case 2:
            lines.insert(at, lines[at])
            change = f"line {at + 1} is there twice"
        case 3:
            cut = random.randrange(len(lines[at]) + 1)
            lines[at:] = [lines[at][:cut]]
            change = f"cut off in line {at + 1}"
        case _:
            lines[at] = random.choice(["\r", " ", "  - ", "#", ","]) + lines[at]
            change = f"line {at + 1} begins otherwise"
    return "\n".join(lines), change
