"""What every script shares at the terminal: arguments from a function's signature, one-line errors, exit status."""

import difflib
import errno
import inspect
import re
import sys
from argparse import ArgumentError
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any

from jsonargparse import ArgumentParser

from seg.errors import SegError

Command = Callable[..., None]

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


def run_command(command: Command | dict[str, Command], arguments: Sequence[str] | None = None) -> int:
    """The exit status of a command line: 0 done, 1 failed, 2 bad usage or input, 130 interrupted.

    A bad argument or input is one line on standard error; `--debug` lets the traceback through.

    Args:
        command: A function whose signature and docstring are the command line, or several by subcommand name.
        arguments: The words of the command line; those of the process by default.
    """
    words = [_with_underscores(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    parser = _parser(command)
    return guarded(lambda: _parse_then_call(parser, command, words), debug="--debug" in words)


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
        return _fail(str(error), EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED)
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


def _parser(command: Command | dict[str, Command]) -> ArgumentParser:
    if not isinstance(command, dict):
        return _function_parser(command)
    parser = ArgumentParser(exit_on_error=False)
    subcommands = parser.add_subcommands(required=True)
    for name, function in command.items():
        subcommands.add_subcommand(name, _function_parser(function))
    return parser


def _function_parser(function: Command) -> ArgumentParser:
    description = (function.__doc__ or "").strip().split("\n\n")[0]
    parser = ArgumentParser(exit_on_error=False, description=" ".join(description.split()))
    parser.add_function_arguments(function, as_group=False, skip={SETTINGS})
    settings = _settings_class(function)
    if settings is not None:
        parser.add_class_arguments(settings, as_group=False)
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    return parser


def _parse_then_call(parser: ArgumentParser, command: Command | dict[str, Command], words: list[str]) -> None:
    try:
        parsed = parser.parse_args(words)
    except ArgumentError as error:
        raise ArgumentError(None, with_nearest_key(str(error), known_keys(parser, words))) from error
    values = parser.instantiate(parsed)
    if isinstance(command, dict):
        command, values = command[values.subcommand], values[values.subcommand]
    arguments = {key: value for key, value in vars(values).items() if key not in {"debug", "config"}}
    settings = _settings_class(command)
    if settings is not None:
        arguments[SETTINGS] = settings(**{field.name: arguments.pop(field.name) for field in fields(settings)})
    command(**arguments)


def _settings_class(command: Command) -> type[Any] | None:
    parameter = inspect.signature(command, eval_str=True).parameters.get(SETTINGS)
    return None if parameter is None else parameter.annotation


def _with_underscores(word: str) -> str:
    """`--block-size=7` and `--block_size=7` are the same option."""
    if not word.startswith("--"):
        return word
    option, equals, value = word[2:].partition("=")
    return "--" + option.replace("-", "_") + equals + value


def _fail(message: str, status: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status
