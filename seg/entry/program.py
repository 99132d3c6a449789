"""The program `cropland-seg`; its first argument is the name of a command."""

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module

from seg import __version__

COMMANDS = {
    "prepare": "create, check, split and import datasets; suggest what to label next",
    "train": "train a network, or score a checkpoint",
    "export": "turn a checkpoint into a model package",
    "adapt": "fit the statistics of a model to the scenes of a new place",
    "predict": "map scenes with a trained model",
    "evaluate": "compare maps with references, estimate areas, map change",
    "polygons": "turn a class map into parcels",
    "deliver": "deliver parcels by a template, and check deliveries",
    "describe": "show a network layer by layer",
    "benchmark": "measure the cost of the parts of the pipeline",
    "restore": "restore a run from Weights & Biases",
}
"""Purpose of each command."""

_MODULES = ("prepare", "evaluate", "deliver", "benchmark")
"""Commands with their own module; the other commands are in `commands`."""

EXIT_BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; 2 for a missing or unknown command.

    Args:
        arguments: Command-line arguments; sys.argv[1:] by default.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    name = words[0] if words else "--help"
    if name in {"-h", "--help"}:
        print(help_text())
        return 0 if words else EXIT_BAD_INPUT
    if name == "--version":
        print(f"cropland-seg {__version__}")
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"the nearest is '{near[0]}'" if near else f"wanted one of {', '.join(COMMANDS)}"
        print(f"error: unknown command '{name}'; {hint}", file=sys.stderr)
        return EXIT_BAD_INPUT
    before = sys.argv
    # Parsers print this name, and training records this command line.
    sys.argv = [f"cropland-seg {name}", *words[1:]]
    try:
        return run(name, words[1:])
    finally:
        sys.argv = before


def run(name: str, arguments: Sequence[str]) -> int:
    """Import a command, run it and return its exit status.

    Args:
        name: One of `COMMANDS`.
        arguments: Command-line arguments after the command's name.
    """
    if name in _MODULES:
        status: int = import_module(f"seg.entry.{name}").main(arguments)
    else:
        status = import_module("seg.entry.commands").main(name, arguments)
    return status


def help_text() -> str:
    """Help with one command per line."""
    lines = [f"  {name:12}{purpose}" for name, purpose in COMMANDS.items()]
    return "\n".join(
        [
            "usage: cropland-seg COMMAND [OPTIONS]",
            "",
            "Cropland maps from satellite and aerial scenes: train, predict, evaluate.",
            "",
            "commands:",
            *lines,
            "",
            "`cropland-seg COMMAND --help` lists the options of a command.",
        ]
    )
