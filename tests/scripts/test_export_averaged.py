"""Weights that a package takes from a training with averaged weights, on checkpoints of a tiny training."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from seg.data.datamodule import CroplandDataModule
from seg.errors import PackageError
from seg.labels import CROPLAND, IGNORE
from seg.package.checkpoint import load_checkpoint, read_checkpoint
from seg.package.description import WEIGHTS
from seg.package.read import load_model, read_package
from seg.training.cli import main
from support.commands import assert_mistake, run_command
from support.training import write_config

FAST = ["--warmup.steps=0", "--model.optimizer.learning_rate=0.01", "--panels.scenes=0", "--panels.curves=false"]
"""Options with which the averaged weights differ from the last weights after two epochs."""

AVERAGED = ["--trainer.callbacks+=lightning.pytorch.callbacks.EMAWeightAveraging", "--trainer.callbacks.decay=0.9"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> dict[str, Path]:
    """The last checkpoints of a training with and without averaged weights; tests must not change them."""
    folder = tmp_path_factory.mktemp("runs")
    config = write_config(folder, make_dataset)
    for name, words in (("averaged", AVERAGED), ("plain", [])):
        assert main(["fit", f"--config={config}", f"--trainer.default_root_dir={folder / name}", *FAST, *words]) == 0
    return {name: folder / name / "checkpoints" / "last.ckpt" for name in ("averaged", "plain")}


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def exported(checkpoint: Path, output: Path, *words: str) -> dict[str, Tensor]:
    status, _, err = run_command("export", f"--checkpoint={checkpoint}", f"--output={output}", *words)
    assert status == 0, err
    return dict(load_file(output / WEIGHTS))


def test_the_raw_weights_equal_the_weights_of_the_same_training_without_averaging(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    raw = exported(runs["averaged"], tmp_path / "raw", "--weights=raw")
    assert equal(raw, exported(runs["plain"], tmp_path / "plain"))


def test_the_averaged_weights_are_validated_and_exported_by_default(runs: dict[str, Path], tmp_path: Path) -> None:
    averaged = exported(runs["averaged"], tmp_path / "averaged", "--weights=averaged")
    assert equal(averaged, exported(runs["averaged"], tmp_path / "auto"))
    assert not equal(averaged, exported(runs["averaged"], tmp_path / "raw", "--weights=raw"))
    validated = load_checkpoint(runs["averaged"])["state_dict"]
    assert all(torch.equal(validated[f"model.{name}"], value) for name, value in averaged.items())


def test_scores_belong_to_the_exported_weights(runs: dict[str, Path], tmp_path: Path) -> None:
    for words, scored in (([], True), (["--weights=averaged"], True), (["--weights=raw"], False)):
        exported(runs["averaged"], tmp_path / "x", *words)
        assert ("val/iou" in read_package(tmp_path / "x").metrics) == scored
        assert bool(read_checkpoint(runs["averaged"], "auto" if scored else "raw").calibration) == scored


def iou(package: Path, data: Path) -> float:
    """IoU of a package on the held-out scenes, from summed counts."""
    model = load_model(package, read_package(package))
    mapped_right = either = 0
    with torch.inference_mode():
        for batch in CroplandDataModule(root=data).val_dataloader():
            mapped = (model(batch["image"])[:, 0].sigmoid() > 0.5) & (batch["mask"] != IGNORE)
            cropland = batch["mask"] == CROPLAND
            mapped_right += int((mapped & cropland).sum())
            either += int((mapped | cropland).sum())
    return mapped_right / either


def test_the_logged_score_equals_the_score_of_the_exported_averaged_weights(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    run = runs["averaged"].parents[1]
    with (run / "metrics.csv").open() as file:
        logged = [float(row["val/iou"]) for row in csv.DictReader(file) if row["val/iou"]]
    exported(runs["averaged"], tmp_path / "averaged")
    exported(runs["averaged"], tmp_path / "raw", "--weights=raw")
    assert iou(tmp_path / "averaged", run.parent / "data") == pytest.approx(logged[-1], abs=1e-6)
    assert abs(iou(tmp_path / "raw", run.parent / "data") - logged[-1]) > 0.01


def test_a_training_without_averaging_has_only_raw_weights(runs: dict[str, Path], tmp_path: Path) -> None:
    plain = exported(runs["plain"], tmp_path / "plain")
    assert equal(plain, exported(runs["plain"], tmp_path / "raw", "--weights=raw"))
    assert "val/iou" in read_package(tmp_path / "raw").metrics
    with pytest.raises(PackageError, match=r"last\.ckpt: has no averaged weights.*; choose .*weights=raw"):
        read_checkpoint(runs["plain"], "averaged")
    words = [f"--checkpoint={runs['plain']}", f"--output={tmp_path / 'none'}", "--weights=averaged"]
    assert_mistake(run_command("export", *words), "last.ckpt", "weights=raw")
    assert not (tmp_path / "none").exists()
