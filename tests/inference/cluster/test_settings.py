from importlib import util
from pathlib import Path

import pytest

from seg.errors import ConfigError
from seg.inference.cluster.connection import connected
from seg.inference.cluster.settings import (
    ClusterSettings,
    JobQueue,
    LocalWorkers,
    RunningScheduler,
    cluster_of,
)

SLURM = "cluster: slurm\nworkers: 8\ncores: 4\nmemory: 16GB\nwalltime: '02:00:00'\nqueue: fast\n"


def test_an_option_names_local_workers_or_a_scheduler() -> None:
    assert cluster_of("local:4") == LocalWorkers(4)
    assert cluster_of("tcp://10.0.0.1:8786") == RunningScheduler("tcp://10.0.0.1:8786")


def test_a_yaml_file_names_the_job_system_the_workers_and_further_keywords(tmp_path: Path) -> None:
    path = tmp_path / "slurm.yaml"
    path.write_text(SLURM)
    keywords = {"cores": 4, "memory": "16GB", "walltime": "02:00:00", "queue": "fast"}
    assert cluster_of(str(path)) == JobQueue(path, "slurm", 8, keywords)


@pytest.mark.parametrize("text", ["local", "local:0", "local:99999999", "host:8786", "tcp://host", "4", "slurm"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--cluster is .*; wanted .*local:"):
        cluster_of(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cluster: slurm\n", "workers is None"),
        ("cluster: slurm\nworkers: 0\n", "workers is 0"),
        ("cluster: cray\nworkers: 2\n", "cluster is cray; wanted one of slurm"),
        ("[1, 2]\n", "has no keywords"),
        ("a: [\n", "not a YAML file"),
    ],
)
def test_a_yaml_file_that_describes_no_job_queue_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        cluster_of(str(path))


def test_the_message_names_a_missing_yaml_file() -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        cluster_of("none.yaml")


def test_a_report_needs_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a --cluster beside it"):
        ClusterSettings(cluster_report=tmp_path / "report.json")


def test_without_dask_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'cropland-seg\[cluster\]'"), connected(LocalWorkers(1)):
        pass


def test_without_dask_jobqueue_the_message_says_how_to_install_it(tmp_path: Path) -> None:
    if util.find_spec("dask_jobqueue"):
        pytest.skip("dask-jobqueue is installed")
    cluster = JobQueue(tmp_path / "slurm.yaml", "slurm", 2, {})
    wanted = "cluster is slurm, which needs dask-jobqueue; pip install"
    with pytest.raises(ConfigError, match=wanted), connected(cluster):
        pass
