"""Resuming with `--ckpt_path=last`: after SIGKILL, and from a damaged last checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from seg.training.cli import main
from support.networks import TINY
from support.processes import Job, Processes
from support.project import SCRIPTS
from support.resume_runs import SIZES, content, differences

EMA = {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.9}}
SETTINGS: dict[str, Any] = {
    "model": {"model": TINY | {"dropout": 0.3}, "optimizer": {"name": "sgd"}, "loss": {"dice": 1.0}},
    "warmup": {"steps": 5},
    "warmup_batch": {"steps": 4, "final": 2},
    "warmup_layers": {"frozen_epochs": 1},
    "warmup_data": {"share": 0.7, "epochs": 1},
    "warmup_loss": {"epochs": 1.5},
    "batch_norm": {"after": 0.5},
    "last_checkpoint": {"every_steps": 1},
    "panels": {"scenes": 0, "curves": False},
    "tracking": {"tensorboard": False},
}


@pytest.fixture(scope="module")
def root(make_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "data", sizes=SIZES)


def write_run(folder: Path, root: Path, *callbacks: dict[str, Any]) -> Path:
    """Write a configuration with all warm-ups and the run folder `folder/run`."""
    trainer = {
        "default_root_dir": str(folder / "run"),
        "max_epochs": 2,
        "accelerator": "cpu",
        "callbacks": [*callbacks],
    }
    data = {"root": str(root), "augmentation": {"gain": 0.1, "noise": 0.1}}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**SETTINGS, "data": data, "trainer": trainer}))
    return path


def last_of(folder: Path) -> Path:
    return folder / "run" / "checkpoints" / "last.ckpt"


def test_a_process_killed_within_an_epoch_resumes_to_the_same_weights(
    root: Path, tmp_path: Path, processes: Processes
) -> None:
    (whole := tmp_path / "whole").mkdir()
    (killed := tmp_path / "killed").mkdir()
    assert main(["fit", f"--config={write_run(whole, root, EMA)}"]) == 0

    config = write_run(killed, root, EMA, {"class_path": "support.resume_runs.SigkillAt", "init_args": {"batch": 9}})
    [ended] = processes.run(Job(SCRIPTS / "train.py", ["fit", f"--config={config}"]))
    assert ended.status is None, ended.output
    left = content(last_of(killed))
    assert left["exact_resume"]["loader"]["epoch"] == 1
    assert left["exact_resume"]["loader"]["batches"] > 0

    assert main(["fit", f"--config={write_run(killed, root, EMA)}", "--ckpt_path=last"]) == 0
    assert differences(content(last_of(killed)), content(last_of(whole))) == []


def test_a_damaged_last_checkpoint_is_reported_and_the_previous_one_used(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_run(tmp_path, root)
    assert main(["fit", f"--config={config}"]) == 0
    last = last_of(tmp_path)
    whole = last.read_bytes()
    last.write_bytes(whole[:-100])
    capsys.readouterr()
    assert main(["fit", f"--config={config}", "--ckpt_path=last", "--trainer.max_epochs=3"]) == 0
    printed = capsys.readouterr().err
    assert f"note: {last}: damaged" in printed
    assert f"using {last.with_name('best.ckpt')} instead" in printed
    assert content(last)["epoch"] == 2

    for path in last.parent.iterdir():
        path.write_bytes(whole[:-100])
    assert main(["fit", f"--config={config}", "--ckpt_path=last"]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(f"error: {last}: damaged")


def test_checkpoint_dirpath_holds_both_checkpoints_and_resuming_finds_the_last(root: Path, tmp_path: Path) -> None:
    words = [f"--config={write_run(tmp_path, root)}", f"--checkpoint.dirpath={tmp_path / 'kept'}"]
    assert main(["fit", *words, "--trainer.max_epochs=1"]) == 0
    assert main(["fit", *words, "--ckpt_path=last"]) == 0
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"best.ckpt", "last.ckpt"}
