"""Losses, optimiser and schedule from the command line, and checkpoints of versions without these options."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from seg.package.checkpoint import load_checkpoint, read_checkpoint
from seg.training.cli import main
from support.commands import assert_mistake, run_command
from support.training import write_config


@pytest.fixture
def config(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    return write_config(tmp_path, make_dataset)


def test_a_run_keeps_its_losses_optimiser_and_schedule(config: Path, tmp_path: Path) -> None:
    chosen = {
        "loss": {"bce": 0.5, "dice": 0.0, "lovasz": 1.0, "boundary_bce": 0.2, "pos_weight": 2.0, "focal_alpha": 0.4},
        "optimizer": {"name": "sgd", "learning_rate": 0.02, "weight_decay": 1e-4, "nesterov": True},
        "schedule": {"name": "step", "milestones": [0.25, 0.5, 0.75]},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"model": chosen, "trainer": {"gradient_clip_val": 1.0}}))
    assert main(["fit", f"--config={config}", f"--config={tmp_path / 'recipe.yaml'}"]) == 0
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    task = read_checkpoint(last).task
    for part, values in chosen.items():
        assert {key: task[part][key] for key in values} == values
    optimizer = load_checkpoint(last)["optimizer_states"][0]["param_groups"][0]
    assert (optimizer["initial_lr"], optimizer["nesterov"]) == (0.02, True)
    # A resumed run reads these options from the checkpoint.
    assert main(["fit", f"--config={config}", "--ckpt_path=last", "--trainer.max_epochs=3"]) == 0
    resumed = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["model"]
    assert resumed["schedule"]["milestones"] == [0.25, 0.5, 0.75]
    assert resumed["loss"]["lovasz"] == 1.0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--model.loss.bce=0", "--model.loss.dice=0"], ["loss weights are bce=0", "one above 0"]),
        (["--model.loss.label_smoothing=1"], ["model.loss.label_smoothing", "0 to below 1"]),
        (["--model.loss.lovas=1"], ["lovas"]),
        (["--model.optimizer.name=adam"], ["model.optimizer.name", "adam"]),
        (["--model.optimizer.nesterov=true"], ["model.optimizer.nesterov", "sgd"]),
        (["--model.schedule.name=linear"], ["model.schedule.name", "linear"]),
        (["--model.schedule.milestones=[0.8,0.4]"], ["model.schedule.milestones", "rising"]),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_exit_status_2(config: Path, words: list[str], named: list[str]) -> None:
    assert_mistake(run_command("train fit", f"--config={config}", *words), *named)


def test_a_checkpoint_of_an_older_version_resumes_with_the_older_settings(config: Path, tmp_path: Path) -> None:
    assert main(["fit", f"--config={config}"]) == 0
    new = tmp_path / "run" / "checkpoints" / "last.ckpt"
    content = load_checkpoint(new)
    arguments = content["hyper_parameters"]
    old = {key: arguments[key] for key in ("bands", "model", "threshold")}
    old["loss"] = {key: arguments["loss"][key] for key in ("bce", "dice", "boundary", "boundary_width")}
    old["optimizer"] = {key: arguments["optimizer"][key] for key in ("learning_rate", "weight_decay")}
    torch.save(content | {"hyper_parameters": old}, tmp_path / "old.ckpt")
    weights = []
    for name, path in (("from_new", new), ("from_old", tmp_path / "old.ckpt")):
        root = tmp_path / name
        words = [f"--ckpt_path={path}", "--trainer.max_epochs=3", f"--trainer.default_root_dir={root}"]
        assert main(["fit", f"--config={config}", *words]) == 0
        weights.append(read_checkpoint(root / "checkpoints" / "last.ckpt").weights)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
