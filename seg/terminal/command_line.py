"""What every script shares at the terminal: arguments from a function's signature, one-line errors, exit status."""

import difflib
import errno
import inspect
import re
import sys
from argparse import ArgumentError, HelpFormatter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from typing import Any, get_args, get_origin

from jsonargparse import ArgumentParser

from seg.errors import IncompleteError, SegError

Command = Callable[..., None]
Within = Callable[[], AbstractContextManager[object]]

EXIT_FAILURE = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

UNKNOWN_KEY = re.compile(
    r"[Uu]nrecognized arguments: -*([\w.]+)"
    r"|[Kk]ey ['\"]([\w.]+)['\"] is not expected"
    r"|does not accept (?:option|nested key) ['\"]([\w.]+)['\"]"
    r"|[Nn]o action for (?:destination )?key ['\"]([\w.]+)['\"]"
)
"""How jsonargparse names a key that it does not know."""

SETTINGS = "settings"
"""A parameter of this name is a dataclass whose fields become options of their own: `--halo`, not `--settings.halo`."""

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
"""What another path on the command line would mend; a full disk or a broken device is not among them."""


TYPE_NAME = re.compile(r"<class '([\w.]+)'>|Literal\[([^\]]*)\]|\b((?:list|tuple|dict)\[[^\]]*\])")
"""How jsonargparse names a type that a value should have."""

BAD_VALUE = re.compile(
    r'Parser key "(?P<key>[\w.+]+)":\s*'
    r"(?:Does not validate against any of the Union subtypes\s*Subtypes: \[(?P<union>.*?)\]\s*Errors:.*Given value: "
    r"|Expected a (?P<type>.*?)\. Got value: )"
    r"(?P<value>.*)",
    re.DOTALL,
)
"""How jsonargparse says that a value has a wrong type."""


WORDS = {"NoneType": "null", "bool": "true or false", "list[str]": "a list like [red,nir]"} | dict.fromkeys(
    ("list", "tuple", "list[int]", "list[float]", "list[int | str]"), "a list like [1,2]"
)
"""Types as a user writes their values, where the type's name does not say it."""


class CommandParser(ArgumentParser):
    """A parser that takes no shortened options, and writes options with hyphens in its help."""

    def __init__(self, description: str = "") -> None:
        super().__init__(exit_on_error=False, allow_abbrev=False, description=description)

    def format_help(self, formatter: HelpFormatter | None = None) -> str:
        """The help text, `--block-size` rather than `--block_size`."""
        return _with_hyphens(super().format_help(formatter))


def run_command(
    command: Command | dict[str, Command],
    arguments: Sequence[str] | None = None,
    description: str = "",
    within: Within = nullcontext,
) -> int:
    """The exit status of a command line: 0 done, 1 failed, 2 bad usage or input, 130 interrupted.

    A bad argument or input is one line on standard error; `--debug` lets the traceback through.

    Args:
        command: A function whose signature and docstring are the command line, or several by subcommand name.
        arguments: The words of the command line; those of the process by default.
        description: What several subcommands are for; a single function says so itself.
        within: Gives a context in which the command runs, entered once its arguments are parsed.
    """
    words = [_with_underscores(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    parser = command_parser(command, description)
    return guarded(lambda: _parse_then_call(parser, command, words, within), debug="--debug" in words)


def guarded(action: Callable[[], object], debug: bool = False) -> int:
    """The exit status of an action, its expected errors printed as one line.

    Args:
        action: What to do.
        debug: Let exceptions through with their traceback.
    """
    try:
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
        return _fail(f"{type(error).__name__}: {error} (unexpected: add --debug to see where)", EXIT_FAILURE)
    return 0


def with_nearest_key(message: str, keys: Iterable[str]) -> str:
    """The message with a hint at the known key nearest to the unknown one it names, if it names one.

    Args:
        message: What the argument parser says.
        keys: Every key that it knows, dotted.
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
    """What the argument parser says of a wrong or missing value, in the words of its user.

    Args:
        message: What the argument parser says.
    """
    required, colon, keys = message.partition("arguments are required: ")
    if colon:
        return required + colon + ", ".join(f"--{key}" for key in keys.split(", "))
    found = BAD_VALUE.search(message)
    if found is None:
        return message
    names = TYPE_NAME.findall(found["union"] or found["type"])
    wanted = [WORDS.get(name, name) for groups in names for name in "".join(groups).replace("'", "").split(", ")]
    return f"--{found['key']} is '{found['value'].strip()}'; wanted {' or '.join(wanted)}"


def known_keys(parser: ArgumentParser, words: Iterable[str]) -> list[str]:
    """Every key that a parser knows, those of the subcommands among the words too.

    Args:
        parser: The parser of the whole command line.
        words: The words of the command line.
    """
    named = set(words)
    actions = list(parser._actions)
    for action in parser._actions:
        choices = action.choices if isinstance(action.choices, dict) else {}
        actions += [inner for name, sub in choices.items() if name in named for inner in sub._actions]
    return [action.dest for action in actions if action.option_strings]


def command_parser(command: Command | dict[str, Command], description: str = "") -> ArgumentParser:
    """Parser of a command line; it takes option names with underscores.

    Args:
        command: A function, or several by subcommand name.
        description: Purpose of several subcommands; a single function says so itself.
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
    parser.add_function_arguments(function, as_group=False, skip={SETTINGS})
    settings = _settings_class(function)
    if settings is not None:
        parser.add_class_arguments(settings, as_group=False)
    for action in parser._actions:
        hint = getattr(action, "_typehint", None)
        if bool in (hint, *get_args(hint)):  # `--restart` is `--restart=true`
            action.nargs, action.const = "?", True
        elif _takes_several(hint):
            action.nargs = "+"
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    return parser


def _parse_then_call(
    parser: ArgumentParser, command: Command | dict[str, Command], words: list[str], within: Within
) -> None:
    try:
        parsed = parser.parse_args(words)
    except ArgumentError as error:
        options = [key.replace("_", "-") for key in known_keys(parser, words)]
        message = plain_message(with_nearest_key(str(error), options))
        raise ArgumentError(None, _with_hyphens(message)) from error
    values = parser.instantiate(parsed)
    if isinstance(command, dict):
        command, values = command[values.subcommand], values[values.subcommand]
    arguments = {key: _flat(value) for key, value in vars(values).items() if key != "debug"}
    settings = _settings_class(command)
    if settings is not None:
        arguments[SETTINGS] = settings(**{field.name: arguments.pop(field.name) for field in fields(settings)})
    with within():
        command(**arguments)


def _takes_several(hint: object) -> bool:
    """Whether a type is `list[T] | T`: `--model a b` and `--model=[a,b]` are the same."""
    kinds = get_args(hint)
    return any(get_origin(kind) is list and get_args(kind)[0] in kinds for kind in kinds)


def _flat(value: object) -> object:
    if not isinstance(value, list):
        return value
    return [item for part in value for item in (part if isinstance(part, list) else [part])]


def _settings_class(command: Command) -> type[Any] | None:
    parameter = inspect.signature(command, eval_str=True).parameters.get(SETTINGS)
    return None if parameter is None else parameter.annotation


def _with_underscores(word: str) -> str:
    """`--block-size=7` and `--block_size=7` are the same option."""
    if not word.startswith("--"):
        return word
    option, equals, value = word[2:].partition("=")
    return "--" + option.replace("-", "_") + equals + value


def _with_hyphens(text: str) -> str:
    """Options as a user writes them, `--block-size`."""
    return re.sub(r"--[\w.]+", lambda option: option[0].replace("_", "-"), text)


def _fail(message: str, status: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status
