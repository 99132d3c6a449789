import csv
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torch.utils.data import DataLoader

from seg import __version__
from seg.training.callbacks import EpochLine
from seg.training.cli import main
from seg.training.run.restore import restore_run
from support.training import quiet_trainer, write_config

NEEDS_WANDB = pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
WANDB_VARIABLES = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_ERROR_REPORTING", "WANDB_MODE")


@pytest.fixture
def config(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    """Configuration for a run that a test may start and change."""
    return write_config(tmp_path, make_dataset, pictures=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    """Folder of a run that was resumed once, with pictures of each epoch; tests only read it."""
    folder = tmp_path_factory.mktemp("tracked")
    words = ["fit", f"--config={write_config(folder, make_dataset, pictures=True)}", "--panels.every_epochs=1"]
    words += ["--trainer.log_every_n_steps=1"]
    assert main(words) == 0
    assert main([*words, "--ckpt_path=last", "--trainer.max_epochs=3"]) == 0
    return folder / "run"


@pytest.fixture
def clean_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clear W&B's environment variables for a test."""
    for name in WANDB_VARIABLES:
        monkeypatch.setenv(name, "")  # registers the variable, so that monkeypatch restores it
        monkeypatch.delenv(name)


def is_blank(path: Path) -> bool:
    return bool(np.asarray(Image.open(path).convert("RGB"), dtype=float).std() == 0)


def test_pictures_of_the_fixed_scene_and_both_curves_are_kept_for_each_epoch(run: Path) -> None:
    names = {path.relative_to(run / "panels").as_posix() for path in (run / "panels").rglob("*.png")}
    kinds = ("01_scene_0", "precision_recall", "reliability")  # one scene of five is held out
    assert names == {f"{kind}/epoch_000{epoch}.png" for kind in kinds for epoch in (1, 2, 3)}
    assert not any(is_blank(run / "panels" / name) for name in names)


def test_tensorboard_gets_the_pictures_and_the_learning_rate(run: Path) -> None:
    [first, second] = sorted(run.glob("events.out.tfevents.*"))
    events = EventAccumulator(str(first)).Reload()
    assert {"panels/01_scene_0", "panels/precision_recall", "panels/reliability"} <= set(events.Tags()["images"])
    assert "learning_rate/pg1" in events.Tags()["scalars"]
    assert len(EventAccumulator(str(second)).Reload().Images("panels/01_scene_0")) == 1


def test_the_logged_learning_rates_follow_the_warm_up(run: Path) -> None:
    with (run / "metrics.1.csv").open() as file:
        rates = [float(row["learning_rate/pg1"]) for row in csv.DictReader(file) if row["learning_rate/pg1"]]
    assert len(rates) == 8  # two epochs of four scenes
    assert rates[0] == pytest.approx(1e-3 * 0.01)
    assert rates[0] < rates[1] < rates[2]


def test_learning_curves_are_drawn_in_the_run_folder(run: Path) -> None:
    assert not is_blank(run / "learning_curves.png")


def test_the_record_holds_inputs_and_outcome_of_the_run(run: Path) -> None:
    record = json.loads((run / "run.1.json").read_text())
    assert (record["state"], record["error"], record["seed"]) == ("finished", None, 0)
    assert (record["epochs"], record["steps"]) == (2, 8)
    assert record["versions"]["cropland-seg"] == __version__
    assert {"python", "torch", "lightning", "rasterio", "gdal", "cuda"} <= record["versions"].keys()
    assert record["dataset"]["scenes"] == 5
    assert record["best"]["monitor"] == "val/iou"
    assert Path(record["best"]["checkpoint"]).is_file()
    assert record["started"].endswith("+00:00")
    assert record["started"] <= record["ended"]
    assert record["duration_s"] > 0
    assert record["devices"]["processes"] == 1
    assert record["resumed_from"] is None


def test_a_resumed_run_has_its_own_record_with_the_same_dataset(run: Path) -> None:
    first, second = (json.loads((run / name).read_text()) for name in ("run.1.json", "run.json"))
    assert second["resumed_from"].endswith("last.ckpt")
    assert second["epochs"] == 3
    assert second["dataset"] == first["dataset"]


def test_pictures_can_be_left_out(config: Path, tmp_path: Path) -> None:
    words = ["--panels.scenes=0", "--panels.curves=false", "--tracking.tensorboard=false", "--trainer.max_epochs=1"]
    assert main(["fit", f"--config={config}", *words]) == 0
    assert not (tmp_path / "run" / "panels").exists()
    assert not list((tmp_path / "run").glob("events.*"))
    assert (tmp_path / "run" / "metrics.csv").exists()


def test_a_failed_run_is_recorded_as_failed(config: Path, tmp_path: Path) -> None:
    words = ["--checkpoint.monitor=val/nothing"]
    assert main(["fit", f"--config={config}", *words]) != 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["state"] == "failed"
    assert "val/nothing" in record["error"]


@pytest.mark.parametrize("word", ["--panels.scenes=-1", "--panels.longest_side=3"])
def test_a_number_out_of_range_is_refused(
    config: Path, tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", f"--config={config}", word]) == 2
    assert word[2:].partition("=")[0] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_tracking_with_a_missing_library_is_refused_before_any_file_is_written(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["fit", f"--config={config}", "--tracking.wandb=offline"]) == 2
    assert "pip install wandb" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@NEEDS_WANDB
@pytest.mark.usefixtures("clean_wandb")
def test_offline_wandb_keeps_configuration_metrics_pictures_and_the_model_in_the_folder_of_the_run(
    config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", f"--config={config}", "--tracking.wandb=offline", "--seed_everything=3"]) == 0
    captured = capfd.readouterr()
    assert "wandb" not in captured.out + captured.err
    root = tmp_path / "run"
    [folder] = (root / "wandb").glob("offline-run-*")
    [journal] = folder.glob("run-*.wandb")
    content = journal.read_bytes()
    for word in (
        b"pyramid_channels",
        b"default_root_dir",
        b"val/iou",
        b"learning_rate",
        b"panels/01_scene_0",
        b"model-",
        b"cropland-seg",
    ):
        assert word in content
    assert (folder / "files" / "model" / "best.ckpt").read_bytes() == (root / "checkpoints" / "best.ckpt").read_bytes()

    restored = {path.relative_to(tmp_path / "back").as_posix() for path in restore_run(str(root), tmp_path / "back")}
    assert {"model/best.ckpt", "run/config.yaml", "run/run.json", "run/metrics.csv", "run/learning_curves.png"} <= (
        restored
    )
    assert any(name.startswith("media/images/panels/01_scene_0") for name in restored)
    assert yaml.safe_load((tmp_path / "back" / "run" / "config.yaml").read_text())["seed_everything"] == 3
    assert json.loads((tmp_path / "back" / "run" / "run.json").read_text())["state"] == "finished"


class CountingTask(L.LightningModule):
    """Task that logs 10 times the epoch as training loss, and 1 more as validation score."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.log("train/loss", 10.0 * self.current_epoch, on_step=True, on_epoch=True)
        return self.weight.sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/iou", 10.0 * self.current_epoch + 1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def loader() -> DataLoader[Tensor]:
    return DataLoader(torch.zeros(4, 1))


def line_trainer(folder: Path, **options: object) -> L.Trainer:
    return quiet_trainer([EpochLine()], default_root_dir=folder, max_epochs=2, **options)


@pytest.mark.parametrize("options", [{}, {"val_check_interval": 0.5}], ids=["one validation", "two validations"])
def test_each_epoch_prints_one_line_with_its_own_loss_and_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, object]
) -> None:
    line_trainer(tmp_path, **options).fit(CountingTask(), loader(), loader())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert lines == [
        "epoch 1/2  train/loss 0.0000  train/loss_epoch 0.0000  val/iou 1.0000",
        "epoch 2/2  train/loss 10.0000  train/loss_epoch 10.0000  val/iou 11.0000",
    ]


def test_an_epoch_without_a_validation_prints_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line_trainer(tmp_path, check_val_every_n_epoch=2).fit(CountingTask(), loader(), loader())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert [line.split("  ")[0] for line in lines] == ["epoch 2/2"]


def test_a_validation_without_training_prints_no_line_of_an_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line_trainer(tmp_path).validate(CountingTask(), loader(), verbose=False)
    assert "epoch" not in capsys.readouterr().out
