"""Two processes train like a single process that accumulates twice as many batches."""

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from seg.package.checkpoint import load_checkpoint
from seg.training.cli import main
from support.processes import Job, Processes
from support.project import ROOT, SCRIPTS
from support.training import BatchLog, write_config

TOLERANCE = 1e-4
RATE = "learning_rate/pg1"
SIZES = ((16, 16), (20, 13), (9, 24), (17, 18), (24, 10), (30, 11), (12, 12))
WORDS = (
    "--trainer.max_epochs=3",
    "--trainer.gradient_clip_val=1",
    "--trainer.log_every_n_steps=1",
    "--model.model.dropout=0.3",
    "--warmup.steps=2",
    "--tracking.tensorboard=false",
    "--panels.scenes=0",
    "--panels.curves=false",
)
LOG = f"{BatchLog.__module__}.{BatchLog.__qualname__}"
WITH_TESTS = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
"""Environment in which a process finds `BatchLog`."""
RANK = """
import os, sys
from lightning.pytorch.utilities import rank_zero_only
from seg.training.cli import main

rank_zero_only.rank = int(os.environ["LOCAL_RANK"])  # which Lightning reads when it is imported
sys.exit(main(sys.argv[1:]))
"""


def rows(folder: Path) -> list[dict[str, float]]:
    """Rows of a run's metrics."""
    with (folder / "metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def rates(rows: list[dict[str, float]]) -> dict[float, float]:
    """Learning rates by step."""
    return {row["step"]: row[RATE] for row in rows if RATE in row}


def logged(path: Path) -> list[str]:
    """Lines of a batch log: the names of a batch, and its checksum."""
    return path.read_text().splitlines()


def scores(rows: list[dict[str, float]]) -> list[dict[str, float]]:
    return [row for row in rows if RATE not in row]


def forked(processes: Processes, words: list[str], tmp_path: Path) -> tuple[str, bool]:
    """Run two training processes by rank; return their output and True if both succeed."""
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "NODE_RANK": "0"}
    ranks = [Job(script, words, place | {"LOCAL_RANK": rank}) for rank in "01"]
    ended = processes.run(*ranks)
    return "".join(one.output for one in ended), all(one.status == 0 for one in ended)


def launched(processes: Processes, words: list[str], tmp_path: Path) -> tuple[str, bool]:
    """Run a command that starts the second process itself; return its output and True if it succeeds."""
    command = [sys.executable, str(SCRIPTS / "train.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=WITH_TESTS)
    return done.stdout + done.stderr, done.returncode == 0


def on_two_nodes(processes: Processes, words: list[str], tmp_path: Path) -> tuple[str, bool]:
    """Run torchrun once for each of two nodes on the loopback device; return their output and True if both succeed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = ["--trainer.devices=1" if word == "--trainer.devices=2" else word for word in words]
    started = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={rank}"),
                *("--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}"),
                *(str(SCRIPTS / "train.py"), *nodes, "--trainer.num_nodes=2"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=WITH_TESTS,
        )
        for rank in (0, 1)
    ]
    texts = [process.communicate(timeout=300)[0] for process in started]
    return "".join(texts), all(process.returncode == 0 for process in started)


def folders(run: Path) -> list[str]:
    """Options that name the folder of a run and its batch log."""
    return [f"--trainer.default_root_dir={run}", f"--trainer.callbacks.path={run}.batches"]


DEAR = [pytest.param(train, marks=pytest.mark.campaign) for train in (launched, on_two_nodes)]


@pytest.mark.parametrize("train", [forked, *DEAR])
def test_two_processes_give_the_batches_scores_and_weights_of_one(
    tmp_path: Path, make_dataset: Callable[..., Path], processes: Processes, train: Callable[..., tuple[str, bool]]
) -> None:
    config = write_config(tmp_path, make_dataset)
    make_dataset(tmp_path / "data", sizes=SIZES)
    one, two = tmp_path / "one", tmp_path / "two"
    words = ["fit", f"--config={config}", *WORDS, f"--trainer.callbacks={LOG}"]
    # Five scenes make one step of four scenes and one step of one scene. In the second step, the second process has no
    # scene.
    assert main([*words, "--trainer.accumulate_grad_batches=4", *folders(one)]) == 0
    parallel = ["--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.accumulate_grad_batches=2"]
    output, succeeded = train(processes, [*words, *parallel, *folders(two)], tmp_path)
    assert succeeded, output
    assert output.count("epoch 1/3") == 1
    assert not (tmp_path / "two.1").exists()
    found, wanted = rows(two), rows(one)
    assert sum("train/loss" in row for row in wanted) == 3
    # Lightning logs the rate of a step once per batch, and each of two processes has fewer batches than a single
    # process.
    assert rates(found) == rates(wanted)
    assert len(rates(wanted)) == 6
    for row, other in zip(scores(found), scores(wanted), strict=True):
        assert row == pytest.approx(other, abs=TOLERANCE)
    weights = [load_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"] for folder in (one, two)]
    for name, value in weights[0].items():
        if not name.endswith("num_batches_tracked"):
            assert torch.allclose(weights[1][name], value, rtol=0, atol=TOLERANCE), name
    first, second = (logged(tmp_path / f"two.batches.{rank}") for rank in (0, 1))
    in_turn = [line for pair in zip(first, second, strict=True) for line in pair]
    assert [line for line in in_turn if not line.startswith(" ")] == logged(tmp_path / "one.batches.0")
