"""Checks of command lines, options and configurations in documents. The real parsers parse them; nothing is run."""

import functools
import io
import re
import shlex
from argparse import ArgumentError
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args, get_origin
from unittest.mock import patch

import pytest
from jsonargparse import ArgumentParser

import seg.training.cli
from seg.entry.commands import COMMANDS as SINGLE_COMMANDS
from seg.entry.program import COMMANDS, run
from seg.errors import SegError
from seg.terminal.command_line import Command, command_parser, known_keys, run_command
from seg.training.task_choice import DEFAULT_TASK, TASKS, wanted_task
from support.project import ROOT, load_script

DOCUMENTS = sorted(
    path
    for name in ("*.md", "configs/*.md", "data/*.md", "scripts/*.md")
    for path in ROOT.glob(name)
    if path.name != "CHANGELOG.md"
)
"""CHANGELOG.md is left out, because it names removed options."""

TOOLS = tuple(COMMANDS)
ELSEWHERE = {
    "pip",
    "pytest",
    "ruff",
    "mypy",
    "wandb",
    "tensorboard",
    "source",
    "pre-commit",
    "dask",
    "sbatch",
    "torchrun",
}
"""Other programs, whose command lines are not checked."""

SEED = "--seed_everything=0"
"""The only default with which training command lines are parsed, since they need a seed. Without the other defaults,
parsing is ten times faster."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
OPTION = re.compile(r"(?<![\w-])--([\w.+-]+)(=\S+)?")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
PREFIXED_TABLE = re.compile(r"^\| `-*([\w.]+\.)` \|.*\n\|[-:| ]+\|\n((?:\|.*\n?)+)", re.MULTILINE)
"""Table whose heading is the common prefix of the options in its first column."""


@dataclass(frozen=True)
class Mention:
    """A command line or an option in a document.

    Attributes:
        document: The file.
        line: Line number, from 1.
        text: Text as written.
        heading: The heading above the text.
    """

    document: Path
    line: int
    text: str
    heading: str = ""

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}: {self.text}"


def blocks(document: Path, *languages: str) -> Iterator[Mention]:
    """Fenced blocks in one of some languages; "" means blocks without a language."""
    text = document.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        if found[1] in languages:
            yield Mention(document, text.count("\n", 0, found.start(2)) + 1, found[2])


def command_lines(document: Path) -> Iterator[Mention]:
    """Commands in fenced blocks without a language, and complete commands in code spans."""
    for block in blocks(document, "", "bash"):
        line = block.line
        for text in block.text.replace("\\\n", "\\\0").splitlines():
            command = " ".join(text.replace("\\\0", " ").split())
            if command and not command.startswith("#"):
                yield Mention(document, line, command)
            line += 1 + text.count("\\\0")
    yield from (span for span in code_spans(document) if re.match(r"(python3?|cropland-seg) \w", span.text))


def code_spans(document: Path) -> Iterator[Mention]:
    """Code spans, each with the heading above it."""
    text = document.read_text(encoding="utf-8")
    prose = FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    headings = list(HEADING.finditer(prose))
    for found in SPAN.finditer(prose):
        above = [heading[1] for heading in headings if heading.start() < found.start()]
        span = " ".join(found[1].replace("\\|", "|").split())
        yield Mention(document, prose.count("\n", 0, found.start()) + 1, span, above[-1] if above else "")


def table_keys(document: Path) -> Iterator[Mention]:
    """Options from tables with a common prefix such as `--data.augmentation.` in the heading."""
    text = document.read_text(encoding="utf-8")
    for table in PREFIXED_TABLE.finditer(text):
        first = text.count("\n", 0, table.start(2)) + 1
        for number, row in enumerate(table[2].splitlines()):
            for key in SPAN.findall(row.split("|")[1]):
                yield Mention(document, first + number, f"--{table[1]}{key}")


def problem_of_command(text: str) -> str | None:
    """Error of a command line; None if it is valid."""
    words = shlex.split(text, comments=True)
    if words[0] in {"python", "python3", "cropland-seg"}:
        words = words[1:]
    if words[0] in ELSEWHERE or Path(words[0]).name in ELSEWHERE:
        return None
    tool, rest = Path(words[0]).stem, words[1:]
    if "..." in rest:
        named = [word for word in rest if word.startswith("--")]
        return next((f"{tool} has no option {word}" for word in named if not is_option(word, tool)), None)
    if tool not in {*TOOLS, "bootstrap"}:
        return f"unknown command {tool}"
    problem_of = {"bootstrap": problem_of_bootstrap, "train": problem_of_training}
    return problem_of[tool](rest) if tool in problem_of else problem_of_words(tool, rest)


def problem_of_bootstrap(words: list[str]) -> str | None:
    """Error of `bootstrap.py` for arguments; None if they are valid."""
    bootstrap = load_script("bootstrap")
    try:
        bootstrap.parse(words)
    except bootstrap.BootstrapError as error:
        return str(error)
    return None


def problem_of_training(words: list[str]) -> str | None:
    """Error of training for arguments; None if they are valid."""
    if words[0] not in training_parsers():
        return f"train has no subcommand {words[0]}"
    try:
        given = [words[0], SEED, *without_missing_configuration(words[1:])]
        training_parsers(wanted_task(words))[words[0]].parse_args(given, defaults=False)
    except (ArgumentError, SegError) as error:
        return str(error)
    return None


def problem_of_words(tool: str, words: list[str]) -> str | None:
    """Error of a command for arguments; None if they are valid. The functions of the command are not run."""

    def run_idle(command: Command | dict[str, Command], *rest: object, **named: object) -> int:
        idle = {name: without_effect(one) for name, one in command.items()} if isinstance(command, dict) else None
        return run_command(idle or without_effect(command), *rest, **named)

    errors = io.StringIO()
    with patch.object(module_of(tool), "run_command", run_idle), redirect_stderr(errors):
        status = run(tool, without_cluster_file(words))
    return errors.getvalue().strip() or f"status {status}" if status else None


def without_cluster_file(words: list[str]) -> list[str]:
    """Arguments with local workers in place of a cluster's YAML file, which the reader of a document has to write."""
    pairs = zip(["", *words], words, strict=False)
    return ["local:1" if option == "--cluster" and word.endswith(".yaml") else word for option, word in pairs]


def module_of(tool: str) -> ModuleType:
    """The module that defines the functions of a tool."""
    return import_module("seg.entry.commands" if tool in SINGLE_COMMANDS else f"seg.entry.{tool}")


def without_effect(command: Command) -> Command:
    """Empty function with the signature and docstring of a command."""

    @functools.wraps(command)
    def idle(*arguments: object, **named: object) -> None: ...

    return idle


def problem_of_option(mention: Mention) -> str | None:
    """Error of options in a code span; None if some command accepts each option with its value.

    If the code span or the heading names a command, as in `predict.py --interior`, only this command is tried.
    """
    first = mention.text.split()[0]
    if first in ELSEWHERE or first.endswith("."):
        return None
    meant = re.match(r"(\w+)\.py", first) or re.match(r"(\w+)\.py", mention.heading)
    tools = [meant[1]] if meant else ["bootstrap", *TOOLS]
    for word in OPTION.finditer(mention.text):
        if not any(is_option(word[0], tool) for tool in tools):
            return f"no option {word[0]} of {' or '.join(tools)}"
    return None


@functools.cache
def is_option(word: str, tool: str) -> bool:
    """True if a subcommand of a tool accepts an option and its value, if given."""
    if word in {"--help", "--debug"}:
        return True
    if tool == "bootstrap":
        return not load_script("bootstrap").parse(["test", word])[1]
    key, _, value = word[2:].partition("=")
    key = key.removesuffix("+") if tool == "train" else key.replace("-", "_")
    return any(key in keys(parser) and (not value or accepts(parser, word, tool)) for parser in parsers(tool))


def accepts(parser: ArgumentParser, option: str, tool: str) -> bool:
    """True if a parser accepts an option with its value, if all required arguments are given too."""
    with suppress(ArgumentError, SegError):
        given = [SEED, option] if tool == "train" else [with_underscores(option)]
        parser.parse_args([*required(parser), *given], defaults=False)
        return True
    return False


def required(parser: ArgumentParser) -> list[str]:
    """Values for the required arguments of a parser."""
    actions = [action for action in parser._actions if action.required and action.option_strings]
    choices = [get_args(hint) if get_origin(hint := action._typehint) is Literal else ("x",) for action in actions]
    return [f"--{action.dest}={values[0]}" for action, values in zip(actions, choices, strict=True)]


def keys(parser: ArgumentParser) -> set[str]:
    """All keys of a parser without subcommands, except help; `class` for the key `class_`."""
    return {key.rstrip("_") for key in known_keys(parser, []) if not key.startswith(("help", "print_"))}


def parsers(tool: str) -> list[ArgumentParser]:
    """Parsers of a tool's subcommands; if it has no subcommands, its only parser."""
    if tool != "train":
        return list(command_parsers(tool).values())
    actions = (action for task in TASKS for action in training_parsers(task)["fit"]._actions)
    return [action.choices["fit"] for action in actions if isinstance(action.choices, dict)]


@functools.cache
def command_parsers(tool: str) -> dict[str, ArgumentParser]:
    """Parsers of a tool by subcommand; "" is the parser without a subcommand."""
    commands: dict[str, ArgumentParser] = {}

    def note(command: object, *rest: object, **named: object) -> int:
        functions = command if isinstance(command, dict) else {"": command}
        commands.update({name: command_parser(function) for name, function in functions.items()})
        return 0

    with patch.object(module_of(tool), "run_command", note):
        run(tool, [])
        run(tool, ["subcommand"])
    return commands


def without_missing_configuration(words: list[str]) -> list[str]:
    """Arguments of a training without `--config runs/x/config.yaml`, which does not exist before a run."""
    at = words.index("--config") if "--config" in words else -1
    if at < 0 or (ROOT / words[at + 1]).is_file():
        return words
    return [*words[:at], "--data.root=x", *words[at + 2 :]]


def with_underscores(word: str) -> str:
    """Write an option with underscores, as in the parsers."""
    if not word.startswith("--"):
        return word
    option, equals, value = word.partition("=")
    return "--" + option[2:].replace("-", "_") + equals + value


@functools.cache
def training_parsers(task: str = DEFAULT_TASK) -> dict[str, ArgumentParser]:
    """Parsers of `scripts/train.py` for a task by subcommand."""
    return {name: training_parser(name, task) for name in seg.training.cli.SUBCOMMANDS}


def training_parser(subcommand: str, task: str) -> ArgumentParser:
    """Parser of training for a subcommand and a task."""
    built: list[ArgumentParser] = []

    def stop(cli: object, parser: ArgumentParser, words: object) -> None:
        built.append(parser)
        raise SystemExit

    parsing = patch.object(seg.training.cli.CroplandCLI, "parse_arguments", stop)
    with parsing, patch("sys.argv", ["train.py"]), pytest.raises(SystemExit):
        seg.training.cli.run([subcommand, f"--task={task}"])
    return built[0]


def problem_of_configuration(text: str, folder: Path) -> str | None:
    """Error of a YAML configuration; None if it is valid for training."""
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        words = ["fit", SEED, f"--config={path}"]
        task = wanted_task(words)
        source = [] if task == "pretext" else ["--data.root=x"]  # a configuration may leave the dataset out
        training_parsers(task)["fit"].parse_args([*words, *source], defaults=False)
    except ArgumentError as error:
        return str(error)
    return None
