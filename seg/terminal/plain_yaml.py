"""YAML of configurations and option values, refused where it would exhaust memory, recursion or digits."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import yaml
from jsonargparse import get_loader, set_loader

from seg.errors import ConfigError

JSONARGPARSE_LOAD = get_loader("yaml")
"""Loader of jsonargparse for YAML 1.2 floats such as 1e-3."""

DEEPEST = 50
"""Largest depth of mappings and lists in each other; PyYAML builds them by recursion."""

MOST_VALUES = 100_000
"""Largest number of values after aliases are replaced: nine levels of nine aliases would be 400 million."""

MOST_DIGITS = 300
"""Largest number of digits; Python's floats end after 308, and its integers are read up to 4,300."""


def check_yaml(text: str) -> None:
    """Check the size of a YAML text before it is built.

    Raises:
        YAMLError: It is no YAML, nests too deep, holds too many values by its aliases, or a number is too long.
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
            raise yaml.YAMLError(f"nests more than {DEEPEST} levels deep")
        if values > MOST_VALUES:
            raise yaml.YAMLError(f"has more than {MOST_VALUES:,} values, counting those of aliases")


def check_configurations(words: Sequence[str]) -> None:
    """Check each file that a command line names with --config, so that a message can name the file.

    Args:
        words: Words of the command line.

    Raises:
        ConfigError: A file is not UTF-8 text, or not YAML within the limits of `check_yaml`.
    """
    for path in _named(words):
        try:
            check_yaml(path.read_text(encoding="utf-8"))
        except OSError:
            continue  # the parser tells of missing files, and takes text in the place of a path
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
    """Let jsonargparse check each text that it reads as YAML, whether from a file or from an option."""
    set_loader("yaml", load_plain, (yaml.YAMLError,))


def load_plain(text: str) -> object:
    """Value of a YAML text, as jsonargparse reads it, after its check.

    Raises:
        YAMLError: It is no YAML, or exceeds a limit of `check_yaml`.
    """
    check_yaml(text)
    return JSONARGPARSE_LOAD(text)
