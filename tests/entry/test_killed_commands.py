"""Kills of every command that writes, at random moments: outputs stay whole, and the next run gives the same result."""

import os
from pathlib import Path

import pytest

import seg.training.cli  # noqa: F401  # loads what the processes of the commands share
from seg.package.write import add_onnx  # noqa: F401
from support.killing import WORKS, Killing, Work
from support.processes import Processes

KILLS = int(os.environ.get("CROPLAND_SEG_KILLS", "8"))
"""Kills of each command in the campaign: more than 200 in all."""
CHEAP = {"change": 2, "split blocks": 2, "import again": 2, "polygons gpkg": 1, "export again": 1}
"""Kills of the quickest commands in the short form."""


def kill_often(work: Work, kills: int, world: Path, processes: Processes, folder: Path) -> None:
    killing, seed, killed = Killing(work, world, processes, folder), 0, 0
    while killed < kills:
        killed += killing.kill(seed)
        seed += 1
        assert seed < 5 * kills + 20
    print("\n".join(killing.problems))  # shown at once by pytest -s
    assert not killing.problems, "these kills leave something else, as printed"


@pytest.mark.parametrize("work", [work for work in WORKS if work.name in CHEAP], ids=lambda work: work.name)
def test_after_kills_of_quick_commands_outputs_are_whole_and_the_next_run_gives_the_same_result(
    work: Work, world: Path, processes: Processes, tmp_path: Path
) -> None:
    kill_often(work, CHEAP[work.name], world, processes, tmp_path)


@pytest.mark.campaign
@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_after_kills_of_any_command_outputs_are_whole_and_the_next_run_gives_the_same_result(
    work: Work, world: Path, processes: Processes, tmp_path: Path
) -> None:
    kill_often(work, KILLS, world, processes, tmp_path)
