"""Damaged inputs and strange options of every command: one line that names them, no traceback, no endless work."""

import os
from pathlib import Path

import pytest

import seg.training.cli  # noqa: F401  # loads what the processes of the commands share
from seg.package.write import add_onnx  # noqa: F401
from support.fuzzing import MEMORY, SHORT, Case, broken_rules, make_case, run_case
from support.processes import Ended, Processes

CHUNK = 100
"""Number of cases in one test of the campaign, which take a minute or two."""
CAMPAIGN = [range(start, start + CHUNK) for start in range(1000, 3200, CHUNK)]


def seeds_of_environment() -> list[int]:
    """Seeds in CROPLAND_SEG_FUZZ, such as "7" or "7,1200-1300"."""
    chosen: list[int] = []
    for part in filter(None, os.environ.get("CROPLAND_SEG_FUZZ", "").split(",")):
        first, _, last = part.partition("-")
        chosen += range(int(first), int(last or first) + 1)
    return chosen


def all_seeds() -> list[object]:
    if chosen := seeds_of_environment():
        return [pytest.param(chosen, id="chosen")]
    campaign = [pytest.param(part, id=f"{part[0]}-{part[-1]}", marks=pytest.mark.campaign) for part in CAMPAIGN]
    return [pytest.param(range(SHORT), id="short"), *campaign]


@pytest.mark.parametrize("seeds", all_seeds())
def test_a_damaged_input_or_a_strange_option_breaks_no_rule_for_commands(
    seeds: range | list[int], world: Path, processes: Processes, tmp_path: Path
) -> None:
    failed = []
    for seed in seeds:
        case = make_case(world, tmp_path / str(seed), seed)
        for broken in run_case(case, processes):
            print(f"{case}\n  {broken}\n", flush=True)  # shown at once by pytest -s
            failed.append(seed)
    assert not failed, "these seeds break a rule, as printed"


def ended(status: int | None, error: str, output: str = "", memory: int = 0) -> Ended:
    return Ended(status, 1.0, output + error, error, cpu=1.0, memory=memory, calls=0)


@pytest.mark.parametrize(
    ("end", "rule"),
    [
        (ended(None, ""), "killed after 1 s"),
        (ended(3, "error: scene.tif: odd\n"), "status 3"),
        (ended(1, "error: ValueError: scene.tif (unexpected: add --debug to see where)\n"), "unexpected error"),
        (ended(2, "Traceback (most recent call last):\nerror: scene.tif: odd\n"), "unexpected error"),
        (ended(2, "ERROR 1: scene.tif: odd\nerror: scene.tif: odd\n"), "noise: ERROR 1"),
        (ended(0, "scene.tif:3: UserWarning: odd\n"), "noise: scene.tif:3"),
        (ended(2, ""), "without an error"),
        (ended(0, "error: scene.tif: odd\n"), "status 0 with an error"),
        (ended(2, "error: scene.tif: odd\nerror: out.tif: odd\n"), "more than one error"),
        (ended(2, "error: cannot be read\n"), "names neither file nor option"),
        (ended(0, "", memory=MEMORY + 1), "took 3.0 GB"),
    ],
)
def test_every_rule_detects_its_violation(end: Ended, rule: str, tmp_path: Path) -> None:
    case = Case(0, tmp_path, ["predict", "--input=scene.tif", "--output=out.tif"], "none")
    assert rule in broken_rules(case, end)[0]
    assert broken_rules(case, ended(2, "error: scene.tif: odd\n")) == []
    assert broken_rules(case, ended(0, "note: scene.tif: odd\n")) == []


def test_a_seed_gives_the_same_case_again(world: Path, tmp_path: Path) -> None:
    for seed in range(12):
        first, second = (make_case(world, tmp_path / f"{seed}{copy}", seed) for copy in "ab")
        assert (first.words, first.damage) == (second.words, second.damage)
        assert files_of(first.folder).keys() == files_of(second.folder).keys()


def files_of(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.lstat().st_size for path in folder.rglob("*")}
