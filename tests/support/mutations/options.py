"""Unusual or wrong options in a command line."""

from functools import cache
from random import Random

from support.documents import command_parsers, keys, parsers
from support.mutations.values import OPTION_VALUES

KEPT = {"output", "debug", "config", "run", "peers", "print_config"}
"""Options that are not changed, since a change could write outside the folder of the case or cause long work."""

BENCHMARK = "--output=figures.json"


def mutate_options(words: list[str], random: Random) -> list[str]:
    """Give options of a command line unusual values, or remove, repeat or misspell an option."""
    kind = random.random()
    if kind < 0.08:
        return [word for word in words if word != random.choice(words[1:])] if len(words) > 2 else words
    if kind < 0.14:
        word = random.choice([word for word in words if word.startswith("--")] or ["--x"])
        return [*words, random.choice([word[:-1], word.replace("-", "_"), f"--no{word[2:]}", word.partition("=")[0]])]
    for _ in range(random.choice([1, 1, 2])):
        option = random.choice(_options(*_command(words)))
        value = random.choice(OPTION_VALUES)
        words = [*words, random.choice([f"--{option}={value}"] * 8 + [f"--{option}"])]
    return words


def bad_benchmark(random: Random) -> list[str]:
    """Command line of a benchmark with a wrong value, which must be reported before anything is measured."""
    subcommand = random.choice(list(command_parsers("benchmark")))
    option = random.choice(_options("benchmark", subcommand))
    value = random.choice(["x", "-1", "nan", "[", "[[]]", "{}", "-0.5", "1e400", "[a, 1", "亩", "&a [*a]"])
    return ["benchmark", subcommand, BENCHMARK, f"--{option}={value}"]


def _command(words: list[str]) -> tuple[str, str]:
    """Tool and subcommand of a command line; "" if there is no subcommand."""
    return words[0], words[1] if len(words) > 1 and not words[1].startswith("--") else ""


@cache
def _options(tool: str, subcommand: str) -> list[str]:
    """The options of a command as they are written, in order."""
    parser = parsers("train")[0] if tool == "train" else command_parsers(tool)[subcommand]
    found = keys(parser) if tool == "train" else {key.replace("_", "-") for key in keys(parser)}
    return sorted(found - KEPT) or sorted(found - {"output"})
