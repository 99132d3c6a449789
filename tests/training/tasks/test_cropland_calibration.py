"""Calibration after a validation, and its storage in checkpoints."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from torch.utils.data import DataLoader

from seg.calibration.calibrate import CalibrationConfig, calibrate
from seg.calibration.histogram import LogitHistogram
from seg.labels import CROPLAND, OTHER
from seg.losses.config import LossConfig
from seg.package.checkpoint import load_checkpoint
from seg.training.optimizer import OptimizerConfig
from seg.training.tasks.cropland import CroplandTask
from support.networks import TINY_NETWORK
from support.training import quiet_trainer


def samples(count: int) -> DataLoader[dict[str, torch.Tensor]]:
    """Images whose right half is slightly brighter and, except for some pixels, labelled as cropland."""
    made = []
    for seed in range(count):
        random = torch.Generator().manual_seed(seed)
        mask = torch.full((24, 20), OTHER, dtype=torch.uint8)
        mask[:, 10:] = CROPLAND
        image = torch.randn(2, 24, 20, generator=random) * 0.5 + mask
        made.append({"image": image, "mask": mask ^ (torch.rand(24, 20, generator=random) < 0.1)})
    return DataLoader(made, batch_size=1)


def task_of(calibration: CalibrationConfig = CalibrationConfig()) -> CroplandTask:
    torch.manual_seed(0)
    task = CroplandTask(
        bands=2, model=TINY_NETWORK, optimizer=OptimizerConfig(learning_rate=1e-2), calibration=calibration
    )
    task.fill_normalization([0.5, 0.5], [0.5, 0.5])
    return task


def trainer(folder: Path, **options: object) -> L.Trainer:
    settings: dict[str, object] = {
        "max_epochs": 2,
        "default_root_dir": folder,
        "num_sanity_val_steps": 1,
        "enable_checkpointing": True,
        "callbacks": [ModelCheckpoint(folder, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)],
    }
    return quiet_trainer(**(settings | options))


def expected(checkpoint: dict[str, Any]) -> dict[str, object]:
    """Calibration of a checkpoint's weights, computed independently."""
    task, histogram = task_of(), LogitHistogram()
    task.load_state_dict(checkpoint["state_dict"])
    with torch.inference_mode():
        for number, batch in enumerate(samples(3)):
            histogram.update(task.eval()(batch["image"]), batch["mask"], number)
    return calibrate(histogram.compute().numpy(), CalibrationConfig(), 0.5).plain()


@pytest.mark.parametrize("averaged", [False, True])
def test_every_checkpoint_has_the_calibration_of_its_weights(tmp_path: Path, averaged: bool) -> None:
    checkpoints = ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    callbacks = [EMAWeightAveraging(decay=0.8), checkpoints] if averaged else [checkpoints]
    trainer(tmp_path, callbacks=callbacks).fit(task_of(), samples(4), samples(3))
    contents = [load_checkpoint(tmp_path / f"epoch={epoch}.ckpt") for epoch in (0, 1)]
    for content in contents:
        found, wanted = content["calibration"], expected(content)
        assert found.pop("note") == wanted.pop("note")
        assert found == pytest.approx(wanted, rel=1e-3)
        assert content["metrics"]["val/ece"] == pytest.approx(content["calibration"]["ece_before"])
        assert content["metrics"]["val/ece_calibrated"] == pytest.approx(content["calibration"]["ece_after"])
    assert contents[0]["calibration"] != contents[1]["calibration"]


def test_weights_that_were_not_validated_have_no_calibration(tmp_path: Path) -> None:
    trainer(tmp_path, check_val_every_n_epoch=2, max_epochs=3).fit(task_of(), samples(4), samples(3))
    found = ["calibration" in load_checkpoint(tmp_path / f"epoch={epoch}.ckpt") for epoch in range(3)]
    assert found == [False, True, False]


def test_a_resumed_run_keeps_the_calibration_until_the_weights_change(tmp_path: Path) -> None:
    first = trainer(tmp_path / "a", max_epochs=1)
    first.fit(task_of(), samples(4), samples(3))
    before = load_checkpoint(tmp_path / "a" / "epoch=0.ckpt")["calibration"]
    for epochs, keeps in ((1, True), (2, False)):
        second = trainer(tmp_path / "b", max_epochs=epochs, limit_val_batches=0)
        second.fit(task_of(), samples(4), samples(3), ckpt_path=tmp_path / "a" / "epoch=0.ckpt", weights_only=True)
        second.save_checkpoint(tmp_path / f"{epochs}.ckpt")
        assert load_checkpoint(tmp_path / f"{epochs}.ckpt").get("calibration") == (before if keeps else None)


@pytest.mark.parametrize(("stage", "prefix"), [("validate", "val"), ("test", "test")])
def test_validation_and_test_log_the_calibration_error(tmp_path: Path, stage: str, prefix: str) -> None:
    task = task_of()
    (scores,) = getattr(trainer(tmp_path), stage)(task, samples(3), verbose=False)
    assert task.counts is not None
    assert task.counts.sum() == 3 * 24 * 20
    assert scores[f"{prefix}/ece"] == pytest.approx(calibrate(task.counts, CalibrationConfig(), 0.5).ece_before)
    (again,) = getattr(trainer(tmp_path), stage)(task, samples(3), verbose=False)
    assert again == scores


def test_calibration_does_not_change_the_threshold_of_training_scores(tmp_path: Path) -> None:
    results = []
    for calibration in (CalibrationConfig(), CalibrationConfig(threshold="f1", temperature=False)):
        runner = trainer(tmp_path, callbacks=[], enable_checkpointing=False)
        runner.fit(task_of(calibration=calibration), samples(4), samples(3))
        results.append({name: float(value) for name, value in runner.callback_metrics.items()})
    assert results[0].pop("val/ece_calibrated") != results[1].pop("val/ece_calibrated")
    assert results[0] == results[1]


def test_logits_of_the_boundary_head_are_not_counted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = CroplandTask(bands=2, model=replace(TINY_NETWORK, boundary=True), loss=LossConfig(boundary=1.0))
    trainer(tmp_path).validate(task, samples(3), verbose=False)
    assert task.counts is not None
    assert task.counts.sum() == 3 * 24 * 20
