"""Options from a checkpoint, and options that are given together with a checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from seg.package.checkpoint import load_checkpoint, read_checkpoint
from seg.training.cli import main
from support.training import write_config


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    """Folder of a finished run of one epoch, with the configuration and the dataset beside the run."""
    folder = tmp_path_factory.mktemp("trained")
    assert main(["fit", f"--config={write_config(folder, make_dataset)}", "--trainer.max_epochs=1"]) == 0
    return folder


def last_of(run: Path) -> Path:
    return run / "checkpoints" / "last.ckpt"


def words_of(trained: Path, tmp_path: Path, stage: str) -> list[str]:
    config = f"--config={trained / 'config.yaml'}"
    return [stage, config, f"--trainer.default_root_dir={tmp_path / 'new'}", f"--ckpt_path={last_of(trained / 'run')}"]


def test_given_optimiser_settings_override_those_of_a_checkpoint(trained: Path, tmp_path: Path) -> None:
    given = ["--model.optimizer.learning_rate=0.5", "--model.optimizer.weight_decay=0.2", "--model.threshold=0.3"]
    assert main([*words_of(trained, tmp_path, "fit"), *given]) == 0
    kept = yaml.safe_load((tmp_path / "new" / "config.yaml").read_text())["model"]
    assert (kept["optimizer"]["learning_rate"], kept["threshold"]) == (0.5, 0.3)
    last = last_of(tmp_path / "new")
    groups = load_checkpoint(last)["optimizer_states"][0]["param_groups"]
    assert [(group["initial_lr"], group["weight_decay"]) for group in groups] == [(0.5, 0.2), (0.5, 0.0)]
    assert read_checkpoint(last).task["threshold"] == 0.3


def test_scores_use_a_given_threshold(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for threshold, recall in (("0", "1.0"), ("1", "0.0")):
        capsys.readouterr()
        assert main([*words_of(trained, tmp_path, "validate"), f"--model.threshold={threshold}"]) == 0
        [line] = [line for line in capsys.readouterr().out.splitlines() if "val/recall" in line]
        assert recall in line


@pytest.mark.parametrize(
    ("stage", "option"),
    [
        ("fit", "model.model.decoder_channels=[16]"),
        ("validate", "model.model.encoder=dilated_small"),
        ("test", "model.model.norm=group"),
        ("fit", "model.optimizer.name=sgd"),
    ],
)
def test_an_option_that_contradicts_the_weights_is_named_in_the_error(
    trained: Path, tmp_path: Path, stage: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words_of(trained, tmp_path, stage), f"--{option}"]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert f"{option.partition('=')[0]} is " in line
    assert "leave the option out" in line
    assert not (tmp_path / "new").exists()


def changed(content: dict[str, Any], part: str, value: object) -> dict[str, Any]:
    """Content of a checkpoint with another value at a dotted key."""
    first, _, rest = part.partition(".")
    return content | {first: changed(content[first], rest, value) if rest else value}


@pytest.mark.parametrize(
    ("part", "value", "named"),
    [
        ("hyper_parameters", "FILE", "hyper_parameters"),
        ("hyper_parameters.model", "FILE", "its model is"),
        ("hyper_parameters.loss", "FILE", "its loss is"),
        ("hyper_parameters.model.decoder_channels", "FILE", "its model.decoder_channels is"),
        ("hyper_parameters.model.dropout", 7.0, "dropout is 7"),
        ("hyper_parameters.threshold", [0.5], "its threshold is"),
        ("hyper_parameters.more", 1, "unknown 'more'"),
        ("CroplandDataModule", "FILE", "CroplandDataModule"),
        ("CroplandDataModule.labels", "FILE", "its data.labels is"),
        ("CroplandDataModule.bands", "FILE", "its data.bands is"),
    ],
)
def test_a_value_of_a_checkpoint_is_never_opened_as_a_file(
    trained: Path, tmp_path: Path, part: str, value: object, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stranger.yaml").write_text("secret: text\n")
    content = load_checkpoint(last_of(trained / "run"))
    value = str(tmp_path / "stranger.yaml") if value == "FILE" else value
    torch.save(changed(content, part, value), tmp_path / "other.ckpt")
    words = ["validate", f"--data.root={trained / 'data'}", f"--ckpt_path={tmp_path / 'other.ckpt'}"]
    assert main(words) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"error: {tmp_path / 'other.ckpt'}: ")
    assert named in line
    assert "secret" not in line


@pytest.mark.parametrize("stage", ["validate", "fit"])
def test_encoder_weights_named_in_a_checkpoint_are_not_loaded(trained: Path, tmp_path: Path, stage: str) -> None:
    content = load_checkpoint(last_of(trained / "run"))
    content = changed(content, "hyper_parameters.model.encoder_weights", str(tmp_path / "missing.safetensors"))
    torch.save(content, tmp_path / "other.ckpt")
    words = [*words_of(trained, tmp_path, stage), f"--ckpt_path={tmp_path / 'other.ckpt'}", "--trainer.max_epochs=2"]
    assert main(words) == 0


def test_an_older_checkpoint_keeps_the_normalisation_it_was_trained_with(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = load_checkpoint(last_of(trained / "run"))
    del content["hyper_parameters"]["model"]["normalisation"]
    torch.save(content, tmp_path / "old.ckpt")
    words = ["validate", f"--data.root={trained / 'data'}", f"--ckpt_path={tmp_path / 'old.ckpt'}"]
    assert main([*words, "--model.model.normalisation=scene"]) == 2
    assert "was trained with dataset" in capsys.readouterr().err
    assert main(words) == 0
