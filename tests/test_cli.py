import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from seg.checkpoint import read_checkpoint
from seg.cli import keep_earlier, main

TINY = {
    "encoder": "tu-test_resnet",
    "output_stride": 8,
    "pyramid_rates": [1],
    "pyramid_channels": 8,
    "decoder_channels": [8, 8, 8],
}


def write_config(folder: Path, make_dataset: Callable[..., Path]) -> Path:
    """A configuration that trains a tiny network on a tiny dataset for two epochs into `folder/run`."""
    content = {
        "data": {"root": str(make_dataset(folder / "data"))},
        "model": {"model": TINY},
        "trainer": {"default_root_dir": str(folder / "run"), "max_epochs": 2, "accelerator": "cpu"},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def config(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    """A configuration whose run a test may start and change."""
    return write_config(tmp_path, make_dataset)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    """The folder of a finished run, to be read only; the data lie beside it."""
    folder = tmp_path_factory.mktemp("trained")
    assert main(["fit", f"--config={write_config(folder, make_dataset)}"]) == 0
    return folder / "run"


def last_line(captured: str) -> str:
    return captured.strip().splitlines()[-1]


def test_a_run_leaves_checkpoints_logs_and_its_configuration(trained: Path) -> None:
    run = trained
    assert {"best.ckpt", "last.ckpt"} == {path.name for path in (run / "checkpoints").iterdir()}
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["model"]["pyramid_channels"] == 8
    assert list(run.glob("events.out.tfevents.*"))
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"val/iou", "val/f1", "val/precision", "val/recall", "val/loss", "train/loss"} <= rows[0].keys()
    assert sum(bool(row["val/iou"]) for row in rows) == 2


def test_the_checkpoint_says_what_export_needs(trained: Path) -> None:
    checkpoint = read_checkpoint(trained / "checkpoints" / "best.ckpt")
    assert checkpoint.task["bands"] == 3
    assert checkpoint.task["model"]["pyramid_channels"] == 8
    assert checkpoint.data == {"band_names": ["", "", ""], "pixel_size_m": 10.0}
    assert 0 <= checkpoint.metrics["val/iou"] <= 1
    assert bool(checkpoint.weights["normalization.filled"])
    assert checkpoint.weights["normalization.mean"].min() > 500


def test_the_best_checkpoint_is_that_of_the_best_validation_iou(config: Path, tmp_path: Path) -> None:
    assert main(["fit", f"--config={config}", "--trainer.max_epochs=4"]) == 0
    with (tmp_path / "run" / "metrics.csv").open() as file:
        scores = [float(row["val/iou"]) for row in csv.DictReader(file) if row["val/iou"]]
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt").metrics["val/iou"] == pytest.approx(
        max(scores)
    )


def test_the_same_seed_gives_the_same_weights(config: Path, tmp_path: Path) -> None:
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        root = tmp_path / name
        assert (
            main(["fit", f"--config={config}", f"--seed_everything={seed}", f"--trainer.default_root_dir={root}"]) == 0
        )
        weights.append(read_checkpoint(root / "checkpoints" / "last.ckpt").weights["head.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_any_argument_can_be_overridden(config: Path, tmp_path: Path) -> None:
    words = ["--data.fold=3", "--model.optimizer.learning_rate=0.01", "--warmup.steps=7", "--checkpoint.filename=top"]
    assert main(["fit", f"--config={config}", *words]) == 0
    resolved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (resolved["data"]["fold"], resolved["warmup"]["steps"]) == (3, 7)
    assert resolved["model"]["optimizer"]["learning_rate"] == 0.01
    assert (tmp_path / "run" / "checkpoints" / "top.ckpt").exists()


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_a_checkpoint_is_judged_without_its_configuration(
    trained: Path, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    best = trained / "checkpoints" / "best.ckpt"
    assert main([stage, f"--data.root={trained.parent / 'data'}", f"--ckpt_path={best}"]) == 0
    prefix = "val" if stage == "validate" else "test"
    assert f"{prefix}/iou" in capsys.readouterr().out


def test_a_resumed_run_goes_on_and_keeps_the_metrics_of_before(config: Path, tmp_path: Path) -> None:
    assert main(["fit", f"--config={config}"]) == 0
    assert main(["fit", f"--config={config}", "--ckpt_path=last", "--trainer.max_epochs=3"]) == 0
    epochs = []
    for name in ("metrics.1.csv", "metrics.csv"):
        with (tmp_path / "run" / name).open() as file:
            epochs.append([int(row["epoch"]) for row in csv.DictReader(file) if row["val/iou"]])
    assert epochs == [[0, 1], [2]]


def test_a_new_run_keeps_the_earlier_one(config: Path, tmp_path: Path) -> None:
    assert main(["fit", f"--config={config}"]) == 0
    earlier = (tmp_path / "run" / "checkpoints" / "best.ckpt").read_bytes()
    assert main(["fit", f"--config={config}", "--data.fold=1"]) == 0
    assert (tmp_path / "run.1" / "checkpoints" / "best.ckpt").read_bytes() == earlier


def test_an_empty_folder_is_not_moved_away(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    keep_earlier(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("words", "hints"),
    [
        (["--data.flod=1"], ["data.flod", "nearest known key is 'data.fold'"]),
        (["--model.model.encodr=resnet18"], ["nearest known key is 'model.model.encoder'"]),
        (["--trainer.max_epoch=one"], ["max_epochs"]),
        (["--data.root=nowhere"], ["nowhere", "images/"]),
        (["--model.model.encoder=resnet81"], ["resnet81", "resnet18"]),
        (["--data.fold=7"], ["data.fold 7", "5 folds"]),
        (["--data.bands=[1,9]"], ["scene_0.tif", "3 bands", "band 9"]),
        (["--warmup.start_factor=2"], ["start_factor=2"]),
        (["--ckpt_path=last"], ["last.ckpt", "no such file"]),
        (["--ckpt_path=none.ckpt"], ["none.ckpt", "no such file"]),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(
    config: Path, words: list[str], hints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", f"--config={config}", *words]) == 2
    error = capsys.readouterr().err
    assert all(hint in error for hint in hints), error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def test_an_unknown_key_in_a_file_names_the_nearest(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "more.yaml").write_text("data: {augmentation: {noisse: 1}}\n")
    assert main(["fit", f"--config={config}", f"--config={tmp_path / 'more.yaml'}"]) == 2
    assert "nearest known key is 'data.augmentation.noise'" in capsys.readouterr().err


def test_a_checkpoint_for_other_bands_is_refused(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"--data.root={trained.parent / 'data'}", "--data.bands=[1,2]"]
    assert main(["validate", *words, f"--ckpt_path={trained / 'checkpoints' / 'best.ckpt'}"]) == 2
    assert "data have 2 bands, but the checkpoint was trained on 3" in last_line(capsys.readouterr().err)


def test_a_malicious_checkpoint_is_refused_and_not_executed(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "executed"

    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.mkdir, (trace,)  # type: ignore[return-value]

    torch.save({"state_dict": {}, "more": Malicious()}, tmp_path / "bad.ckpt")
    assert main(["fit", f"--config={config}", f"--ckpt_path={tmp_path / 'bad.ckpt'}"]) == 2
    assert "not loaded" in last_line(capsys.readouterr().err)
    assert not trace.exists()
