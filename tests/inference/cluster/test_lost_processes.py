"""Workers, schedulers and clients that are killed while they map scenes on the loopback device."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from support.cluster import DaskProcesses
from support.commands import run_command
from support.project import SCRIPTS
from support.scenes import write_scene

pytestmark = pytest.mark.campaign

WORKERS, WORKER_KILLS, SCHEDULER_KILLS, CLIENT_KILLS = 4, 20, 3, 3
COMPOSITE = """
import sys
from seg.entry.program import main
from seg.imagery.composites import planning

planning._block_shape = lambda *_: (64, 64)
sys.exit(main(["prepare", "composite", *sys.argv[1:]]))
"""


class Campaign:
    """Two scenes, with 450 blocks together, that are mapped repeatedly; and their maps by one process as reference."""

    def __init__(self, model: Path, folder: Path) -> None:
        scenes = folder / "scenes"
        scenes.mkdir()
        for name in ("a.tif", "b.tif"):
            write_scene(scenes / name, 900, 900, nodata=0)
        self.model, self.scenes, self.maps, self.blocks = model, scenes, folder / "maps", 2 * 15 * 15
        self.words = [f"--model={model}", f"--input={scenes}", "--block-size=64", "--halo=16", "--threads=1"]
        self.words.append(f"--output={self.maps}")
        assert run_command("predict", *self.words).status == 0
        self.whole = {path.name: path.read_bytes() for path in self.maps.iterdir()}
        self.clear()

    def clear(self) -> None:
        for path in self.maps.iterdir():
            path.unlink()

    def check(self) -> None:
        """Check that all maps equal the reference, and that no other file is left."""
        assert {path.name: path.read_bytes() for path in self.maps.iterdir()} == self.whole

    def finished(self) -> int:
        return len([*self.maps.glob("*.partial/*.npy")])

    def wait_for(self, blocks: int, is_alive: Callable[[], bool]) -> bool:
        """Wait until a number of blocks are finished; return False if the run ends earlier."""
        while self.finished() < blocks:
            if not is_alive():
                return False
            time.sleep(0.002)
        return True


@pytest.fixture
def campaign(onnx_package: Path, tmp_path: Path) -> Campaign:
    return Campaign(onnx_package, tmp_path)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskProcesses]:
    folder = tmp_path / "dask"
    folder.mkdir()
    with DaskProcesses(folder) as processes:
        yield processes


@contextmanager
def killing(cluster: DaskProcesses, campaign: Campaign, kills: list[int], seed: int) -> Iterator[None]:
    """Within a `with` statement, kill random workers and start new ones; each kill adds an item to `kills`."""
    stop, random = threading.Event(), np.random.default_rng(seed)

    def kill_often() -> None:
        while not stop.is_set() and sum(kills) < WORKER_KILLS:
            if campaign.finished():
                cluster.kill_worker(int(random.integers(len(cluster.workers))))
                cluster.start_workers(1)
                kills.append(1)
            stop.wait(float(random.uniform(0, 2)))

    thread = threading.Thread(target=kill_often)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_maps_are_the_same_after_twenty_kills_of_workers_and_few_blocks_are_computed_twice(
    cluster: DaskProcesses, campaign: Campaign, tmp_path: Path
) -> None:
    computed = tmp_path / "computed.txt"
    cluster.list_blocks(computed)
    cluster.start_workers(WORKERS)
    kills: list[int] = []
    runs = 0
    while sum(kills) < WORKER_KILLS:
        computed.write_text("")
        with killing(cluster, campaign, kills, runs):
            ran = run_command("predict", *campaign.words, f"--cluster={cluster.address}")
        notes = [line for line in ran.err.splitlines() if "no worker yet" not in line]
        assert (ran.status, notes) == (0, []), ran
        campaign.check()
        campaign.clear()
        times = Counter(computed.read_text().splitlines())
        assert len(times) == campaign.blocks
        assert median(times.values()) <= 2
        runs += 1


def test_the_same_command_continues_after_three_kills_of_the_scheduler(
    cluster: DaskProcesses, campaign: Campaign
) -> None:
    for number in range(SCHEDULER_KILLS):
        cluster.start_workers(2)
        cluster.wait_for_workers(2)
        before = campaign.finished()

        def kill(before: int = before) -> None:
            if campaign.wait_for(before + 10, threading.main_thread().is_alive):
                cluster.scheduler.kill()
                cluster.scheduler.wait()

        killer = threading.Thread(target=kill)
        killer.start()
        ran = run_command("predict", *campaign.words, f"--cluster={cluster.address}")
        killer.join()
        assert ran.status == 1, (number, ran)
        assert ran.err.startswith(f"error: {cluster.address}: the scheduler is lost")
        assert ran.err.count("\n") == 1
        assert campaign.finished() > before
        while cluster.workers:
            cluster.kill_worker(0)
        cluster.start_scheduler()
    cluster.start_workers(2)
    assert run_command("predict", *campaign.words, f"--cluster={cluster.address}").status == 0
    campaign.check()


def test_the_same_command_continues_after_three_kills_of_the_client(cluster: DaskProcesses, campaign: Campaign) -> None:
    cluster.start_workers(2)
    command = [sys.executable, SCRIPTS / "predict.py", *campaign.words, f"--cluster={cluster.address}"]
    for number in range(CLIENT_KILLS):
        before = campaign.finished()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
            assert campaign.wait_for(before + 10, lambda client=client: client.poll() is None), number
            client.kill()
    assert run_command("predict", *campaign.words, f"--cluster={cluster.address}").status == 0
    campaign.check()


def test_local_workers_end_with_a_killed_client(campaign: Campaign) -> None:
    command = [sys.executable, SCRIPTS / "predict.py", *campaign.words, "--cluster=local:2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        assert campaign.wait_for(10, lambda: client.poll() is None)
        children = children_of(client.pid)
        client.kill()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/cmdline").exists() and not is_zombie(pid) for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert run_command("predict", *campaign.words).status == 0
    campaign.check()


@pytest.mark.parametrize("number", [2, 15], ids=["SIGINT", "SIGTERM"])
def test_an_interrupted_client_prints_one_line_and_the_run_continues(campaign: Campaign, number: int) -> None:
    command = [sys.executable, SCRIPTS / "predict.py", *campaign.words, "--cluster=local:2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as client:
        assert campaign.wait_for(10, lambda: client.poll() is None)
        os.killpg(client.pid, number) if number == 2 else client.terminate()
        _, err = client.communicate(timeout=60)
    assert client.returncode == 130, err
    assert err.startswith("error: interrupted; ")
    assert err.count("\n") == 1
    assert run_command("predict", *campaign.words).status == 0
    campaign.check()


def test_a_worker_without_the_model_is_left_out_with_one_line(
    cluster: DaskProcesses, campaign: Campaign, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    hidden = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    hidden += ['mount --bind "$0" "$1" && shift && exec "$@"', str(empty), str(campaign.model)]
    if subprocess.run([*hidden, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system cannot hide a folder from a process")
    cluster.start_workers(1, hidden)
    cluster.start_workers(1)
    cluster.wait_for_workers(2)
    ran = run_command("predict", *campaign.words, f"--cluster={cluster.address}")
    assert ran.status == 0, (ran, cluster.log())
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("note: left out the worker on ")
    assert f"{campaign.model}/model.json: no such file" in ran.err
    campaign.check()


def test_a_composite_is_the_same_after_kills_of_workers_and_of_the_client(
    cluster: DaskProcesses, tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    random = np.random.default_rng(0)
    for date in range(3):
        write_raster(tmp_path / "dates" / f"{date}.tif", random.integers(0, 4000, (2, 900, 900), np.uint16), nodata=0)
    output = tmp_path / "maps" / "summer.tif"
    output.parent.mkdir()
    words = [f"--input={tmp_path / 'dates'}", f"--output={output}"]
    assert run_command("prepare composite", *words).status == 0
    wanted = output.read_bytes()
    output.unlink()
    cluster.start_workers(2)
    command = [sys.executable, "-c", COMPOSITE, *words, f"--cluster={cluster.address}"]

    def finished() -> int:
        return len([*output.parent.glob("*.partial/*.npy")])

    for _ in range(CLIENT_KILLS):
        goal = finished() + 10
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
            while finished() < goal:
                assert client.poll() is None
                time.sleep(0.002)
            cluster.kill_worker(0)
            cluster.start_workers(1)
            while finished() < goal + 10:
                assert client.poll() is None
                time.sleep(0.002)
            client.kill()
    assert run_command("prepare composite", *words, f"--cluster={cluster.address}").status == 0
    assert output.read_bytes() == wanted
    assert [path.name for path in output.parent.iterdir()] == ["summer.tif"]


def children_of(pid: int) -> list[int]:
    """Children of a process, their children, and so on; workers are children of a server that forks them."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(each for child in children for each in children_of(child))]


def is_zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
