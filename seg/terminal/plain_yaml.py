"""YAML of configurations and option values, with limits on size, depth and digits."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import yaml
from jsonargparse import get_loader, set_loader

from seg.errors import ConfigError

JSONARGPARSE_LOAD = get_loader("yaml")
"""The YAML loader of jsonargparse. PyYAML's own loader reads 1e-3 as text; this loader reads 1e-3 as a float, as YAML
1.2 requires."""

DEEPEST = 50
"""Largest depth of nested mappings and lists. PyYAML builds them by recursion, and Python limits the recursion."""

MOST_VALUES = 100_000
"""Largest number of values after aliases are expanded; nine levels of nine aliases would expand to 400 million
values."""

MOST_DIGITS = 300
"""Largest number of digits in a number; Python reads floats of up to 308 digits and integers of up to 4,300."""


LARGEST = 2**63 - 1
"""Largest accepted whole number; the 64-bit integers of C libraries cannot store larger numbers."""


def check_yaml(text: str) -> None:
    """Check a YAML text against the limits of this module before objects are built.

    Raises:
        YAMLError: The text is not YAML, is nested too deeply, expands to too many values, or has a number with too many
            digits.
    """
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []
    values = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.ScalarEvent):
            _check_digits(event.value)
            values += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.AliasEvent):
            values += sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, values))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            values += 1
            if anchor:
                sizes[anchor] = values - before
        if len(opened) > DEEPEST:
            raise yaml.YAMLError(f"is nested more than {DEEPEST} levels deep")
        if values > MOST_VALUES:
            raise yaml.YAMLError(f"has more than {MOST_VALUES:,} values, with aliases expanded")


def check_configurations(words: Sequence[str]) -> None:
    """Check each --config file of a command line; error messages name the file.

    Args:
        words: Words of the command line.

    Raises:
        ConfigError: A file is not UTF-8 text, or not YAML within the limits of `check_yaml`.
    """
    for path in _named(words):
        try:
            check_yaml(path.read_text(encoding="utf-8"))
        except OSError:
            continue  # The parser reports missing files. It also accepts YAML text in place of a path.
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); wanted a YAML configuration") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: not a configuration in YAML: {error}") from error


def _named(words: Sequence[str]) -> Iterable[Path]:
    for word, following in zip_longest(words, words[1:]):
        option, equals, value = word.partition("=")
        found = value if equals else following
        if option == "--config" and found and "\0" not in found:
            yield Path(found)


def _check_digits(text: str) -> None:
    digits = text.strip("+-").replace("_", "")
    if len(digits) > MOST_DIGITS and digits.isdigit():
        raise yaml.YAMLError(f"a number has {len(digits)} digits; wanted at most {MOST_DIGITS}")


def use_plain_yaml() -> None:
    """Make jsonargparse check all YAML texts from files and options."""
    set_loader("yaml", load_plain, (yaml.YAMLError,))


def load_plain(text: str) -> object:
    """Check a YAML text and return its value as jsonargparse reads it.

    Raises:
        YAMLError: The text is not YAML, or exceeds a limit of `check_yaml`.
    """
    check_yaml(text)
    return JSONARGPARSE_LOAD(text)


def require_plain_values(values: Mapping[str, object], shown: Callable[[str], str] = lambda key: key) -> None:
    """Check the numbers and texts of a command line or a configuration.

    Numbers must be finite and fit into 64 bits; texts must not contain a NUL character. `nodata` may be any number,
    also NaN, since images may declare NaN as nodata.

    Args:
        values: Values by name, nested as in a configuration.
        shown: Function that turns a dotted name into the option that the message shows.

    Raises:
        ConfigError: A number is not finite or exceeds 64 bits, or a text contains a NUL character.
    """
    for key, value in _single_values(values, ""):
        if isinstance(value, int | float):
            wrong = not math.isfinite(value) if isinstance(value, float) else abs(value) > LARGEST
            if wrong and key.rpartition(".")[2] != "nodata":
                raise ConfigError(f"{shown(key)} is {str(value)[:40]}; wanted a finite number of at most 64 bits")
        elif "\0" in str(value):
            raise ConfigError(f"{shown(key)} contains a NUL character; remove it")


def _single_values(value: object, key: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _single_values(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _single_values(item, key)
    else:
        yield key, value
