"""Options of a cluster, and the kinds of clusters. This module does not import dask, so that --help is quick."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from seg.errors import ConfigError, listed, require_option
from seg.files import require_output_file
from seg.terminal.plain_yaml import check_yaml

MOST_WORKERS = 1024
"""Largest number of worker processes on one machine."""

SYSTEMS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
}
"""Class of dask-jobqueue for each job system."""

WANTED = "local:N for N workers on this machine, tcp://host:port for a scheduler, or a YAML file"

_LOCAL = re.compile(r"local:(\d+)")
_ADDRESS = re.compile(r"tcp://[^\s/]+:\d+")


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Settings of a cluster.

    Args:
        cluster: Compute on a dask cluster: local:N for N worker processes on this machine, tcp://host:port for a
            running scheduler, or a YAML file with the keywords of dask-jobqueue (cluster, workers, cores, memory,
            walltime). By default, this process computes.
        cluster_report: JSON file for a report with the seconds and blocks of each worker, and the number of repeated
            blocks.

    Raises:
        ConfigError: The cluster is unknown, or the report cannot be written.
    """

    cluster: str | None = None
    cluster_report: Path | None = None

    def __post_init__(self) -> None:
        """Check both options before any work."""
        if self.cluster is not None:
            cluster_of(self.cluster)
        if self.cluster_report is not None:
            require_option(self.cluster is not None, "cluster-report", self.cluster_report, "a --cluster beside it")
            require_output_file(self.cluster_report, (".json",))


@dataclass(frozen=True)
class LocalWorkers:
    """Worker processes on this machine.

    Attributes:
        count: Number of workers.
    """

    count: int


@dataclass(frozen=True)
class RunningScheduler:
    """A running scheduler and its workers.

    Attributes:
        address: Address of the scheduler, such as tcp://host:8786.
    """

    address: str


@dataclass(frozen=True)
class JobQueue:
    """Workers that dask-jobqueue starts as jobs of a batch system.

    Attributes:
        path: The YAML file.
        system: A key of SYSTEMS.
        workers: Number of workers.
        keywords: Keywords of the class of dask-jobqueue.
    """

    path: Path
    system: str
    workers: int
    keywords: Mapping[str, object]


Cluster = LocalWorkers | RunningScheduler | JobQueue


def cluster_of(text: str) -> Cluster:
    """The cluster that an option names.

    Args:
        text: Value of --cluster.

    Raises:
        ConfigError: The text names no cluster, or the YAML file does not describe a job queue.
    """
    local = _LOCAL.fullmatch(text)
    if local:
        count = int(local[1]) if len(local[1]) < 6 else MOST_WORKERS + 1
        require_option(1 <= count <= MOST_WORKERS, "cluster", text, f"local:1 to local:{MOST_WORKERS}")
        return LocalWorkers(count)
    if _ADDRESS.fullmatch(text):
        return RunningScheduler(text)
    require_option(text.endswith((".yaml", ".yml")), "cluster", text, WANTED)
    return _job_queue(Path(text))


def _job_queue(path: Path) -> JobQueue:
    try:
        text = path.read_text(encoding="utf-8")
        check_yaml(text)
        values = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); wanted {WANTED}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not a YAML file ({reason}); wanted keywords of dask-jobqueue") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"{path}: has no keywords; wanted cluster, workers, cores, memory and walltime")
    system, workers = values.pop("cluster", None), values.pop("workers", None)
    if system not in SYSTEMS:
        raise ConfigError(f"{path}: cluster is {system}; wanted one of {listed([*SYSTEMS], len(SYSTEMS))}")
    if not isinstance(workers, int) or not 1 <= workers <= 100_000:
        raise ConfigError(f"{path}: workers is {workers}; wanted the number of workers, such as 'workers: 8'")
    return JobQueue(path, system, workers, values)
