import csv
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import yaml

from seg.package.checkpoint import load_checkpoint, read_checkpoint
from seg.training.cli import main
from support.commands import assert_mistake, run_command
from support.processes import Job, Kill, Processes
from support.project import SCRIPTS
from support.training import write_config


@pytest.fixture
def config(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    """Configuration for a run that a test may start and change."""
    return write_config(tmp_path, make_dataset)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    """Folder of a finished run with the data beside it; tests only read it."""
    folder = tmp_path_factory.mktemp("trained")
    assert main(["fit", f"--config={write_config(folder, make_dataset, pictures=True)}"]) == 0
    return folder / "run"


def test_a_run_writes_checkpoints_logs_and_its_configuration(trained: Path) -> None:
    run = trained
    assert {"best.ckpt", "last.ckpt"} == {path.name for path in (run / "checkpoints").iterdir()}
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["model"]["pyramid_channels"] == 8
    assert list(run.glob("events.out.tfevents.*"))
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"val/iou", "val/f1", "val/precision", "val/recall", "val/loss", "train/loss"} <= rows[0].keys()
    assert sum(bool(row["val/iou"]) for row in rows) == 2


def test_the_checkpoint_holds_the_values_for_export(trained: Path) -> None:
    checkpoint = read_checkpoint(trained / "checkpoints" / "best.ckpt")
    assert checkpoint.task["bands"] == 3
    assert checkpoint.task["model"]["pyramid_channels"] == 8
    assert checkpoint.data == {
        "band_names": ["", "", ""],
        "bands": [1, 2, 3],
        "image_bands": 3,
        "labels": {"cropland": [1], "ignore": [255], "other": None},
        "nodata": None,
        "offsets": None,
        "pixel_size_m": 10.0,
        "scales": None,
    }
    assert 0 <= checkpoint.metrics["val/iou"] <= 1
    assert bool(checkpoint.weights["normalization.filled"])
    assert checkpoint.weights["normalization.mean"].min() > 500


def test_the_best_checkpoint_has_the_best_validation_iou(config: Path, tmp_path: Path) -> None:
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
        weights.append(read_checkpoint(root / "checkpoints" / "last.ckpt").weights["network.head.weight"])
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
def test_a_checkpoint_is_scored_without_its_configuration(
    trained: Path, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    best = trained / "checkpoints" / "best.ckpt"
    assert main([stage, f"--data.root={trained.parent / 'data'}", f"--ckpt_path={best}"]) == 0
    prefix = "val" if stage == "validate" else "test"
    assert f"{prefix}/iou" in capsys.readouterr().out


def test_a_resumed_run_continues_and_keeps_its_earlier_metrics(config: Path, tmp_path: Path) -> None:
    assert main(["fit", f"--config={config}"]) == 0
    assert main(["fit", f"--config={config}", "--ckpt_path=last", "--trainer.max_epochs=3"]) == 0
    epochs = []
    for name in ("metrics.1.csv", "metrics.csv"):
        with (tmp_path / "run" / name).open() as file:
            epochs.append([int(row["epoch"]) for row in csv.DictReader(file) if row["val/iou"]])
    assert epochs == [[0, 1], [2]]


def test_the_last_checkpoint_comes_from_the_last_epoch_even_if_an_earlier_score_was_better(config: Path) -> None:
    assert main(["fit", f"--config={config}", "--checkpoint.monitor=epoch", "--checkpoint.mode=min"]) == 0
    folder = config.parent / "run" / "checkpoints"
    epochs = {path.stem: load_checkpoint(path)["epoch"] for path in folder.iterdir()}
    assert epochs == {"best": 0, "last": 1}


def test_a_new_run_keeps_the_earlier_one(config: Path, tmp_path: Path) -> None:
    assert main(["fit", f"--config={config}"]) == 0
    earlier = (tmp_path / "run" / "checkpoints" / "best.ckpt").read_bytes()
    assert main(["fit", f"--config={config}", "--data.fold=1"]) == 0
    assert (tmp_path / "run.1" / "checkpoints" / "best.ckpt").read_bytes() == earlier


def test_a_run_may_use_an_empty_current_folder(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["fit", f"--config={config}", "--trainer.default_root_dir=."]) == 0
    assert (tmp_path / "here" / "checkpoints" / "last.ckpt").exists()


def test_the_written_configuration_does_not_depend_on_terminal_or_checkpoint(config: Path, tmp_path: Path) -> None:
    kept = tmp_path / "run" / "config.yaml"
    assert main(["fit", f"--config={config}"]) == 0
    assert main(["fit", f"--config={kept}", "--ckpt_path=last", "--trainer.max_epochs=3"]) == 0
    content = yaml.safe_load(kept.read_text())
    assert "ckpt_path" not in content
    assert content["trainer"]["enable_progress_bar"] is None
    words = [f"--config={kept}", f"--ckpt_path={tmp_path / 'run' / 'checkpoints' / 'best.ckpt'}"]
    before = kept.read_bytes()
    assert main(["validate", *words]) == 0
    assert kept.read_bytes() == before


def test_an_interrupted_training_prints_how_to_resume(config: Path, tmp_path: Path, processes: Processes) -> None:
    words = ["fit", f"--config={config}", "--trainer.max_epochs=100000"]
    once = tmp_path / "run" / "checkpoints" / "last.ckpt"
    [ended] = processes.run(Job(SCRIPTS / "train.py", words, kill=Kill(0, once, signal.SIGINT)))
    assert ended.status == 130
    *others, printed = ended.output.splitlines()
    assert printed.startswith("error: interrupted")
    assert printed.endswith("with --ckpt_path=last")
    assert others
    assert all(line.startswith(("note: ", "epoch ")) for line in others)


def test_help_describes_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Train, validate or test a cropland network." in capsys.readouterr().out


def test_a_checkpoint_for_other_bands_is_refused(trained: Path) -> None:
    words = [f"--data.root={trained.parent / 'data'}", "--data.bands=[1,2]"]
    assert_mistake(
        run_command("train validate", *words, f"--ckpt_path={trained / 'checkpoints' / 'best.ckpt'}"),
        "data have 2 bands, but the checkpoint was trained on 3",
    )


def test_a_receptive_field_larger_than_the_scenes_gets_a_note(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", f"--config={config}", "--model.model.pyramid_rates=[60]", "--trainer.max_epochs=1"]) == 0
    assert "pixels to each side, but training scenes are about" in capsys.readouterr().err


def test_a_checkpoint_is_scored_on_its_training_bands(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", f"--config={config}", "--data.bands=[3,1]", "--data.nodata=7"]) == 0
    data, best = f"--data.root={tmp_path / 'data'}", f"--ckpt_path={tmp_path / 'run' / 'checkpoints' / 'best.ckpt'}"
    tables = []
    for words in ([], ["--data.bands=[3,1]", "--data.nodata=7"], ["--data.bands=[1,3]"]):
        capsys.readouterr()
        assert main(["validate", data, best, *words]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] != tables[2]


def test_a_training_starts_from_given_weights_and_refuses_those_of_another_network(config: Path, trained: Path) -> None:
    weights = f"--model.initial_weights={trained / 'checkpoints' / 'best.ckpt'}"
    ran = run_command("train fit", f"--config={config}", weights, "--trainer.max_epochs=1")
    assert ran.status == 0, ran.err
    assert "initial weights: all" in ran.err
    other = run_command("train fit", f"--config={config}", weights, "--model.model.encoder=dilated_small")
    assert_mistake(other, "best.ckpt", "of this network's values")


def test_a_network_that_normalises_scenes_scores_scenes_in_other_units(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"--config={config}", "--model.model.normalisation=scene"
    assert main(["fit", *words, "--trainer.max_epochs=1"]) == 0
    last = f"--ckpt_path={tmp_path / 'run' / 'checkpoints' / 'last.ckpt'}"
    losses = []
    for divisor in (1, 4096):
        for image in (tmp_path / "data" / "images").iterdir():
            with rasterio.open(image) as source:
                values, profile = source.read() / divisor, source.profile
            with rasterio.open(image, "w", **(profile | {"dtype": "float32"})) as target:
                target.write(values.astype(np.float32))
        capsys.readouterr()
        assert main(["validate", f"--data.root={tmp_path / 'data'}", last]) == 0
        [line] = [line for line in capsys.readouterr().out.splitlines() if "val/loss" in line]
        losses.append(float(line.replace("│", " ").split()[-1]))
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
