import json
from pathlib import Path

import pytest

from seg.benchmark.cluster import ALONE, ONE, TWO, MapRun, Speeds, text_of
from seg.benchmark.settings import ClusterBenchmarkSettings
from seg.errors import ConfigError
from seg.inference.cluster.simulation import Simulation
from support.commands import run_command

SPEEDS = Speeds(
    100.0,
    {ALONE: MapRun([95.0], [3.0]), ONE: MapRun([100.0], [4.5]), TWO: MapRun([50.0], [5.0])},
    equal=True,
)


def test_the_report_shows_each_figure_beside_its_limit() -> None:
    text = "\n\n".join(text_of(ClusterBenchmarkSettings(), SPEEDS, Simulation(200_000, 100, 40.0, 186.0, 8.0)))
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.count("|") == 4}
    assert "0.950" in rows["speed of one worker / one process"]
    assert "2.00" in rows["speed of two workers / one worker"]
    assert "4.50" in rows["seconds from the start to the first block"]
    assert "186" in rows["growth of the scheduler, bytes per block"]
    assert "all maps have the same bytes: yes" in text


def test_one_half_of_the_benchmark_can_be_left_out_but_not_both() -> None:
    [title, table, bars] = text_of(ClusterBenchmarkSettings(scenes=0), None, Simulation(100, 10, 1.0, 0.0, 8.0))
    assert "speed of" not in title + table + bars
    with pytest.raises(ConfigError, match="nothing is measured"):
        ClusterBenchmarkSettings(scenes=0, blocks=0)


@pytest.mark.campaign
def test_small_scenes_are_mapped_in_three_ways(tmp_path: Path) -> None:
    small = ("--side=300", "--scenes=1", "--model=dilated_tiny_4", "--blocks=400", "--cluster=local:1")
    ran = run_command("benchmark cluster", *small, f"--output={tmp_path / 'figures.json'}")
    assert ran.status == 0, ran
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["speeds"]["equal"]
    assert all(run["first"][0] < run["seconds"][0] for run in found["speeds"]["runs"].values())
