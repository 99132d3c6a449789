"""Cases with damaged inputs, each made from a seed, and the rules that every command must follow for them."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from support.command_lines import LINES
from support.mutations.files import mutate
from support.mutations.options import bad_benchmark, mutate_options
from support.processes import Ended, Job, Processes
from support.project import SCRIPTS, environment
from support.world import copy_of

SHORT = 200
"""Number of seeds, from 0, in the short form of the campaign; few of these cases compute for long."""

OWN_PYTHON = 200
"""Interval of seeds at which a case runs in a new Python process, whose imports take seconds."""

SECONDS = 60
"""Largest processor time, in seconds, of a command with inputs of a few pixels."""
MEMORY = 3_000_000_000
"""Largest memory of such a command in bytes."""
STATUSES = {0, 1, 2, 130}

OPTION = re.compile(r"--[\w.-]+|\b(data|model|trainer|seed_everything|checkpoint|warmup\w*|panels|tracking)\b")
LIST = "could not be mapped:"
"""Title of the list of scenes that failed, which are indented by two spaces."""
LIBRARY = re.compile(r"^(ERROR|Warning|FATAL) \d*|Warning: |warnings?\.warn|^ *File \"|CPLE_|\[\w:onnxruntime|^INFO")
"""Beginnings of lines that GDAL, Python, ONNX Runtime and Lightning print."""


@dataclass(frozen=True)
class Case:
    """A command line whose inputs or options are damaged.

    Attributes:
        seed: Seed from which the case is made.
        folder: Working folder, with the inputs.
        words: The command line.
        damage: Change that was made, in words.
    """

    seed: int
    folder: Path
    words: Sequence[str]
    damage: str

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.damage}\n  in {self.folder}\n  cropland-seg {shlex.join(self.words)}\n"
            f"  again: CROPLAND_SEG_FUZZ={self.seed} python -m pytest -n0 tests/entry/test_damaged_inputs.py"
        )


def make_case(world: Path, folder: Path, seed: int) -> Case:
    """Make a case in a new folder."""
    random = Random(seed)
    if random.random() < 0.04:
        folder.mkdir(parents=True)
        words = bad_benchmark(random)
        return Case(seed, folder, words, "options")
    weights = [0.02 if line.is_dear and seed < SHORT else 1.0 for line in LINES]
    [line] = random.choices(LINES, weights)
    copy_of(world, [*line.needs, *line.targets, *_named(world, line.words)], folder)
    words = line.words.split()
    if random.random() < 0.2:
        changed = [
            word for word in mutate_options(words, random) if word != "--debug"
        ]  # --debug prints a traceback, as it should
        return Case(seed, folder, changed, "options")
    damage = [mutate(folder / random.choice(line.targets), random)]
    if random.random() < 0.1:
        target = folder / random.choice(line.targets)
        damage += [mutate(target, random)] if target.is_file() else []
    return Case(seed, folder, words, "; ".join(damage))


def _named(world: Path, words: str) -> list[str]:
    """Inputs that are named in the command line."""
    values = [word.partition("=")[2] for word in words.split()]
    return [value for value in values if value and (world / value).exists()]


def run_case(case: Case, processes: Processes) -> list[str]:
    """Run a case; return the rules that it breaks, each with the observed behaviour."""
    script = SCRIPTS / f"{case.words[0]}.py"
    if case.seed % OWN_PYTHON == 0:
        return broken_rules(case, _run_in_own_python(script, case))
    job = Job(script, list(case.words[1:]), folder=case.folder, seconds=SECONDS, memory=MEMORY)
    [ended] = processes.run(job)
    return broken_rules(case, ended)


def _run_in_own_python(script: Path, case: Case) -> Ended:
    """Run a case in a new Python process, as users do."""
    command = [sys.executable, script, *(os.fsencode(word) for word in case.words[1:])]
    try:
        done = subprocess.run(
            command, cwd=case.folder, env=environment(), capture_output=True, timeout=2 * SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Ended(None, 2 * SECONDS, "", "", 2 * SECONDS, 0, 0)
    out, error = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    return Ended(done.returncode, 0, out + error, error, 0, 0, 0)


def broken_rules(case: Case, ended: Ended) -> list[str]:
    """Rules that the end of a command breaks."""
    if ended.status is None:
        used = f"{ended.cpu:.0f} s of processor time and {ended.memory / 1e9:.1f} GB"
        return [f"killed after {used} ... {ended.output[-1500:]}"]
    broken = []
    lines = ended.error.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if ended.status not in STATUSES:
        broken.append(f"status {ended.status}")
    if "Traceback" in ended.output or "(unexpected: add --debug" in ended.output:
        broken.append("unexpected error")
    if ended.memory > MEMORY:
        broken.append(f"took {ended.memory / 1e9:.1f} GB")
    listed = lines[lines.index(LIST) :] if LIST in lines else []
    if noise := [line for line in lines if _is_noise(case, line) and not (line in listed and line.startswith("  "))]:
        broken.append(f"noise: {noise[0][:200]}")
    if ended.status in {1, 2} and not errors and not _reports(case):
        broken.append(f"status {ended.status} without an error")
    if ended.status == 0 and errors:
        broken.append("status 0 with an error")
    if ended.status == 2 and len(errors) > 1:
        broken.append("more than one error")
    broken += [f"names neither file nor option: {line}" for line in errors if not _names_something(case, line)]
    return [f"{rule} ... {ended.output[-1500:]}" for rule in broken]


def _reports(case: Case) -> bool:
    """True if the output of the command consists of findings about its input."""
    return list(case.words[:2]) == ["prepare", "check"]


def _is_noise(case: Case, line: str) -> bool:
    """True if a library printed a line: it does not begin like a command's line and names no file of the case."""
    own = line.startswith(("error: ", "note: ", "failed: ", LIST)) or _names_something(case, line)
    return not own or LIBRARY.search(line) is not None


def _names_something(case: Case, line: str) -> bool:
    """True if a line names an option, a file of the case or a given value."""
    given = [word.partition("=") for word in case.words[1:]]
    options = [re.escape(option.lstrip("-").rpartition(".")[2]) for option, _, _ in given if option.startswith("--")]
    if OPTION.search(line) or any(re.search(rf"\b{option}\b", line) for option in options):
        return True
    if any(value and line.startswith(f"error: {value}") for *_, value in given):
        return True
    names = {path.name for path in case.folder.rglob("*")} | {part for *_, value in given for part in value.split("/")}
    return any(name in line for name in names | set(case.words[:2]) if len(name) > 2)
