"""Command lines from function signatures, with one-line errors and exit status.

A dataclass parameter without a default makes an option of each field: `--halo`, not `--settings.halo`. A dataclass
parameter with a default, such as `labels: LabelMapping = PLAIN_LABELS`, keeps its name as a prefix: `--labels.ignore`.
"""

import codecs
import difflib
import errno
import inspect
import io
import logging
import os
import re
import sys
from argparse import ArgumentError, HelpFormatter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields, is_dataclass
from itertools import zip_longest
from keyword import iskeyword
from pathlib import Path
from typing import Any, get_args, get_origin

from jsonargparse import ArgumentParser

from seg.errors import ConfigError, IncompleteError, SegError
from seg.terminal.plain_yaml import require_plain_values, use_plain_yaml

use_plain_yaml()

Command = Callable[..., None]
"""Function whose signature and docstring define a command line."""

Within = Callable[[], AbstractContextManager[object]]
"""Function that returns a context manager; the command runs within this context."""

EXIT_FAILURE = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

LONGEST = 200
"""Largest number of characters of a wrong value that a message shows."""

UNKNOWN_KEY = re.compile(
    r"[Uu]nrecognized arguments: -*([\w.]+)"
    r"|[Kk]ey ['\"]([\w.]+)['\"] is not expected"
    r"|does not accept (?:option|nested key) ['\"]([\w.]+)['\"]"
    r"|[Nn]o action for (?:destination )?key ['\"]([\w.]+)['\"]"
)
"""Pattern of jsonargparse's messages about an unknown key."""

INPUT_MISTAKES = {
    errno.ENOENT,
    errno.EACCES,
    errno.EPERM,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EROFS,
    errno.ENAMETOOLONG,
}
"""System errors that a user can avoid by naming another path; a full disk or a broken device is not among them."""

TYPE_NAME = re.compile(r"<class '([\w.]+)'>|Literal\[([^\]]*)\]|\b((?:list|tuple|dict)\[[^\]]*\])")
"""Names of types in the messages of jsonargparse."""

BAD_VALUE = re.compile(
    r'Parser key "(?P<key>[\w.+]+)":\s*'
    r"(?:Does not validate against any of the Union subtypes\s*Subtypes: \[(?P<union>.*?)\]\s*Errors:.*Given value: "
    r"|Expected a (?P<type>.*?)\. Got value: )"
    r"(?P<value>.*)",
    re.DOTALL,
)
"""Pattern of jsonargparse's messages about a value of a wrong type."""

REWRITTEN = {
    r"^argument ([\w.]+) --> ([\w.]+): ": "--{1} takes its value from {0}; leave it out",
    r'^Linked "([\w.]+)" must be given via "([\w.]+)"': "--{0} takes its value from {1}; leave it out",
    r'Parser key "([\w.]+)":\s+Exceeds the limit .* value has (\d+) digits': "--{0} has {1} digits; wanted at most 20",
    r'Spaces not allowed in keys: "(.*)"': "--config: its key '{0}' contains a space; correct name or indentation",
}
"""Patterns of further messages of jsonargparse, and their replacements."""

WORDS = {"NoneType": "null", "bool": "true or false", "list[str]": "a list like [red,nir]"} | dict.fromkeys(
    ("list", "tuple", "list[int]", "list[float]", "list[int | str]"), "a list like [1,2]"
)
"""Words for types whose Python names would not help a user."""


_PLAIN = {
    "±": "+/-",
    "×": "x",
    "–": "-",
    "—": "-",
    "\u2212": "-",
    "≥": ">=",
    "≤": "<=",
    "²": "2",
    "…": "...",
    "亩": "mu",
}
"""ASCII replacements of characters for terminals that lack them."""


class CommandParser(ArgumentParser):
    """A parser that rejects abbreviated options and writes options with hyphens in its help."""

    def __init__(self, description: str = "") -> None:
        super().__init__(exit_on_error=False, allow_abbrev=False, description=description)

    def format_help(self, formatter: HelpFormatter | None = None) -> str:
        """Help text with `--block-size` rather than `--block_size`."""
        return _with_hyphens(super().format_help(formatter))


def run_command(
    command: Command | dict[str, Command],
    arguments: Sequence[str] | None = None,
    description: str = "",
    within: Within = nullcontext,
) -> int:
    """Run a command and return its exit status: 0 done, 1 failed, 2 bad usage or input, 130 interrupted.

    An error in an argument or input is printed as one line on standard error. If `--debug` is given, exceptions are not
    caught.

    Args:
        command: One command, or several by subcommand name.
        arguments: Command-line arguments; sys.argv[1:] by default.
        description: Description of a command with subcommands; a single function is described by its docstring.
        within: Function that returns the context in which the command runs; called after the arguments are parsed.
    """
    words = [_with_underscores(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    parser = command_parser(command, description)
    return guarded(lambda: _parse_then_call(parser, command, words, within), debug="--debug" in words)


def guarded(action: Callable[[], object], debug: bool = False) -> int:
    """Call an action, print its error as one line, and return the exit status.

    Args:
        action: The action.
        debug: Do not catch exceptions, so that Python prints their traceback.
    """
    _replace_unprintable_characters()
    # CPL_LOG names the file to which GDAL's own threads write their errors, in place of standard error. If such an
    # error concerns the user, a function of rasterio raises the error too.
    os.environ.setdefault("CPL_LOG", os.devnull)
    try:
        with _messages_on_terminal():
            action()
    except (SegError, ArgumentError) as error:
        if debug:
            raise
        return _fail(str(error), EXIT_FAILURE if isinstance(error, IncompleteError) else EXIT_BAD_INPUT)
    except KeyboardInterrupt as interrupt:
        return _fail(str(interrupt) or "interrupted", EXIT_INTERRUPTED)
    except OSError as error:
        if debug:
            raise
        status = EXIT_BAD_INPUT if error.errno in INPUT_MISTAKES else EXIT_FAILURE
        return _fail(f"{error.filename or 'input or output'}: {error.strerror or error}", status)
    except Exception as error:
        if debug:
            raise
        return _fail(f"{type(error).__name__}: {error} (unexpected; add --debug for the traceback)", EXIT_FAILURE)
    return 0


def with_nearest_key(message: str, keys: Iterable[str]) -> str:
    """Add the nearest known key to a message about an unknown key; return other messages unchanged.

    Args:
        message: Message of the argument parser.
        keys: All known keys, dotted.
    """
    unknown = UNKNOWN_KEY.search(message)
    if unknown is None:
        return message
    key = next(name for name in unknown.groups() if name)
    by_last_part = {name.rpartition(".")[2]: name for name in keys}
    near = difflib.get_close_matches(key, list(keys), n=1)
    near = near or [by_last_part[n] for n in difflib.get_close_matches(key.rpartition(".")[2], by_last_part, n=1)]
    return f"{message}; the nearest known key is '{near[0]}'" if near else f"{message}; see --help for the known keys"


def plain_message(message: str) -> str:
    """Rewrite a message about a wrong or missing value for users.

    Args:
        message: Message of the argument parser.
    """
    without_value = re.fullmatch(r"argument (--[\w.-]+): expected (?:at least )?one argument", message.strip())
    if without_value:
        return f"{without_value[1]} has no value; write {without_value[1]}=VALUE, also if the value begins with a minus"
    for pattern, text in REWRITTEN.items():
        match = re.search(pattern, message, re.DOTALL)
        if match:
            return text.format(*match.groups())
    required, colon, keys = message.partition("arguments are required: ")
    if colon:
        return required + colon + ", ".join(f"--{key}" for key in keys.split(", "))
    found = BAD_VALUE.search(message)
    if found is None:
        return message
    names = TYPE_NAME.findall(found["union"] or found["type"])
    wanted = [WORDS.get(name, name) for groups in names for name in "".join(groups).replace("'", "").split(", ")]
    value = found["value"].strip()
    shown = value if len(value) <= LONGEST else f"{value[:LONGEST]}..."
    return f"--{found['key']} is '{shown}'; wanted {' or '.join(wanted)}"


def require_values(words: Sequence[str]) -> None:
    """Reject options with an empty value, and names that are not UTF-8.

    An unset shell variable gives an option an empty value. GDAL cannot open files whose names are not UTF-8, and JSON,
    YAML and the tags of maps cannot store such names. The name of the current folder is checked too.

    Args:
        words: Words of the command line.

    Raises:
        ConfigError: An option is empty, as in `--output=`, or a name is not UTF-8.
    """
    for name in (*words, str(Path.cwd())):
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ConfigError(
                f"{name}: its name is not UTF-8; rename the file or folder, e.g. by convmv -f gbk -t utf8 --notest"
            )
    for word, following in zip_longest(words, words[1:]):
        option, equals, value = word.partition("=")
        given = value if equals else following
        if option.startswith("--") and given is not None and not given.strip():
            raise ConfigError(_with_hyphens(f"{option} has an empty value; give it a value or leave it out"))


def known_keys(parser: ArgumentParser, words: Iterable[str]) -> list[str]:
    """All keys of a parser, and of the subcommands that a command line names.

    Args:
        parser: Parser of the whole command line.
        words: Words of the command line.
    """
    named = set(words)
    actions = list(parser._actions)
    for action in parser._actions:
        choices = action.choices if isinstance(action.choices, dict) else {}
        actions += [inner for name, sub in choices.items() if name in named for inner in sub._actions]
    return [action.dest for action in actions if action.option_strings]


def command_parser(command: Command | dict[str, Command], description: str = "") -> ArgumentParser:
    """Parser of a command line. The parser expects option names with underscores, as `run_command` passes them.

    Args:
        command: One command, or several by subcommand name.
        description: Description of a command with subcommands; a single function is described by its docstring.
    """
    if not isinstance(command, dict):
        return _function_parser(command)
    parser = CommandParser(description)
    subcommands = parser.add_subcommands(required=True)
    for name, function in command.items():
        inner = _function_parser(function)
        subcommands.add_subcommand(name, inner, help=inner.description)
    return parser


def _function_parser(function: Command) -> ArgumentParser:
    description = (function.__doc__ or "").strip().split("\n\n")[0]
    parser = CommandParser(" ".join(description.split()))
    settings = _settings_classes(function)
    parser.add_function_arguments(function, as_group=False, skip=set(settings))
    for kind in settings.values():
        parser.add_class_arguments(kind, as_group=False)
    for action in parser._actions:
        hint = getattr(action, "_typehint", None)
        if bool in (hint, *get_args(hint)):  # `--restart` means `--restart=true`.
            action.nargs, action.const = "?", True
        elif _takes_several(hint):
            action.nargs = "+"
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    return parser


def _parse_then_call(
    parser: ArgumentParser, command: Command | dict[str, Command], words: list[str], within: Within
) -> None:
    require_values(words)
    try:
        parsed = parser.parse_args(words)
    except ArgumentError as error:
        options = [key.replace("_", "-") for key in known_keys(parser, words)]
        message = plain_message(with_nearest_key(str(error), options))
        raise ArgumentError(None, _with_hyphens(message)) from error
    require_plain_values(parsed.as_dict(), lambda key: _with_hyphens(f"--{key.rpartition('.')[2]}"))
    values = parser.instantiate(parsed)
    if isinstance(command, dict):
        command, values = command[values.subcommand], values[values.subcommand]
    arguments = {key: _flat(value) for key, value in vars(values).items() if key != "debug"}
    for name, kind in _settings_classes(command).items():
        arguments[name] = kind(**{field.name: arguments.pop(field.name) for field in fields(kind)})
    with within():
        command(**arguments)


def _takes_several(hint: object) -> bool:
    """True for a type `list[T] | T`; an option of this type accepts `--model a b` as well as `--model=[a,b]`."""
    kinds = get_args(hint)
    return any(get_origin(kind) is list and get_args(kind)[0] in kinds for kind in kinds)


def _flat(value: object) -> object:
    if not isinstance(value, list):
        return value
    return [item for part in value for item in (part if isinstance(part, list) else [part])]


def _settings_classes(command: Command) -> dict[str, type[Any]]:
    """Dataclasses whose fields are options of a command, by parameter name."""
    found: dict[str, type[Any]] = {}
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        kind: type[Any] = parameter.annotation
        if parameter.default is parameter.empty and is_dataclass(kind):
            found[parameter.name] = kind
    return found


def _with_underscores(word: str) -> str:
    """Write the name of an option like its parameter: `--block-size=7` as `--block_size=7`, `--class` as `--class_`."""
    if not word.startswith("--"):
        return word
    option, equals, value = word[2:].partition("=")
    name = option.replace("-", "_")
    return f"--{name}_{equals}{value}" if iskeyword(name) else f"--{name}{equals}{value}"


def _with_hyphens(text: str) -> str:
    """Replace the underscores in option names by hyphens, as users write them: `--block-size`."""
    return re.sub(r"--[\w.]+", lambda option: option[0].rstrip("_").replace("_", "-"), text)


class _Terminal(logging.Handler):
    """Handler that prints messages of the project's modules; warnings are printed as notes on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message. The standard streams are looked up each time, since tests and notebooks replace them."""
        if record.levelno >= logging.WARNING:
            print(f"note: {record.getMessage()}", file=sys.stderr, flush=True)
        else:
            print(record.getMessage(), flush=True)


@contextmanager
def _messages_on_terminal() -> Iterator[None]:
    """While a command runs, print the messages that the project's modules log."""
    logger, handler = logging.getLogger("seg"), _Terminal()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


def _replace_unprintable_characters() -> None:
    """Let standard output and error replace characters that they cannot encode, instead of failing."""
    codecs.register_error("plain", _ascii_replacement)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def _ascii_replacement(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    replacements = (_PLAIN.get(letter) or letter.encode("ascii", "backslashreplace").decode() for letter in missing)
    return "".join(replacements), error.end


def _fail(message: str, status: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status
