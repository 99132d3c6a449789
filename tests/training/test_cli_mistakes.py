"""A mistake in the command line of training prints one line and gives exit status 2; files do not change."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from seg.data.datamodule import CroplandDataModule
from seg.files import claimed
from seg.training.cli import main
from support.commands import assert_mistake, run_command
from support.training import write_config


@pytest.fixture
def config(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    """Configuration for a run that a test may start and change."""
    return write_config(tmp_path, make_dataset)


def test_a_folder_with_other_files_is_not_changed(config: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert_mistake(
        run_command("train fit", f"--config={config}", f"--trainer.default_root_dir={tmp_path / 'data'}"),
        f"{tmp_path / 'data'}, which is not empty and holds no run",
    )
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("words", [["--data.fold=7"], ["--data.bands=[1,9]"]])
def test_a_run_that_cannot_start_does_not_move_the_earlier_run(config: Path, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "metrics.csv").write_text("epoch\n")
    before = sorted(tmp_path.rglob("*"))
    assert main(["fit", f"--config={config}", *words]) == 2
    assert sorted(tmp_path.rglob("*")) == before


def files_of(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


def test_a_refused_resumption_changes_no_file_of_the_run(config: Path, tmp_path: Path) -> None:
    assert main(["fit", f"--config={config}", "--trainer.max_epochs=1"]) == 0
    before = files_of(tmp_path / "run")
    assert main(["fit", f"--config={config}", "--ckpt_path=last", "--data.bands=[1,2]"]) != 0
    assert files_of(tmp_path / "run") == before


def test_resuming_a_finished_run_prints_a_message_and_leaves_its_files(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", f"--config={config}", "--trainer.max_epochs=1"]) == 0
    before = files_of(tmp_path / "run")
    unfinished = tmp_path / "run" / ".run.json.unfinished"  # as a kill at the end of a training leaves it
    unfinished.mkdir()
    capsys.readouterr()
    assert main(["fit", f"--config={config}", "--trainer.max_epochs=1", "--ckpt_path=last"]) == 0
    assert not unfinished.exists()
    assert "last.ckpt: has completed all 1 epochs of trainer.max_epochs; to train longer" in capsys.readouterr().out
    assert files_of(tmp_path / "run") == before


def test_a_second_training_in_the_same_folder_is_refused(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "metrics.csv").write_text("epoch\n")
    with claimed(run):
        assert_mistake(run_command("train fit", f"--config={config}"), f"{run}, where another training is running")
    assert files_of(run) == {"metrics.csv": b"epoch\n"}


def test_a_second_training_with_the_same_folder_of_checkpoints_is_refused(config: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    words = [f"--config={config}", f"--checkpoint.dirpath={tmp_path / 'kept'}"]
    with claimed(tmp_path / "kept"):
        assert_mistake(run_command("train fit", *words), "kept, where another training writes its checkpoints")
    assert not (tmp_path / "run").exists()


def test_a_refused_second_training_leaves_the_files_of_the_running_one(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["fit", f"--config={config}", "--trainer.max_epochs=1"]) == 0
    run, setup = tmp_path / "run", CroplandDataModule.setup

    def setup_while_the_other_writes(data: CroplandDataModule, stage: str) -> None:
        setup(data, stage)
        (run / "metrics.csv").write_text("of the running one\n")

    monkeypatch.setattr(CroplandDataModule, "setup", setup_while_the_other_writes)
    with claimed(run):
        second = run_command("train fit", f"--config={config}", "--ckpt_path=last")
    assert_mistake(second, f"{run}, where another training is running")
    assert (run / "metrics.csv").read_text() == "of the running one\n"


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_scoring_needs_a_checkpoint(config: Path, stage: str) -> None:
    assert_mistake(run_command(f"train {stage}", f"--config={config}"), f"{stage} has no --ckpt_path")


@pytest.mark.parametrize(
    ("words", "hints"),
    [
        (["--data.flod=1"], ["data.flod", "nearest known key is 'data.fold'"]),
        (["--model.model.encodr=resnet18"], ["nearest known key is 'model.model.encoder'"]),
        (["--trainer.max_epoch=2"], ["nearest known key is 'trainer.max_epochs'"]),
        (["--data.root=nowhere"], ["nowhere", "images/"]),
        (["--model.model.encoder=resnet81"], ["resnet81", "resnet18"]),
        (["--last_checkpoint.dirpath=x"], ["--last_checkpoint.dirpath takes its value from checkpoint.dirpath"]),
        (["--data.seed=3"], ["--data.seed takes its value from seed_everything; leave it out"]),
        (["--data.fold=7"], ["data.fold 7", "5 folds"]),
        (["--data.bands=[1,9]"], ["scene_0.tif", "3 bands", "band 9"]),
        (["--warmup.start_factor=2"], ["start_factor=2"]),
        (["--ckpt_path=last"], ["last.ckpt", "no such file"]),
        (["--ckpt_path=none.ckpt"], ["none.ckpt", "no such file"]),
        (["--model.model.dropout=2"], ["model.model.dropout is 2", "wanted 0 to below 1"]),
        (["--model.model.pyramid_rates=[0]"], ["model.model.pyramid_rates is 0", "1 or more"]),
        (["--model.model.pyramid_channels=0"], ["model.model.pyramid_channels is 0", "1 or more"]),
        (["--model.optimizer.learning_rate=-1"], ["model.optimizer.learning_rate is -1", "above 0"]),
        (["--model.optimizer.weight_decay=-1"], ["model.optimizer.weight_decay is -1", "0 or more"]),
        (["--model.threshold=7"], ["model.threshold is 7", "0 to 1"]),
        (["--model.model.dropout=abc"], ["--model.model.dropout is 'abc'; wanted float"]),
        (["--seed_everything=-1"], ["seed_everything is -1"]),
        (["--trainer.devices=0"], ["devices='0'", "not a valid"]),
        (["--trainer.accelerator=abacus"], ["abacus"]),
        (["--trainer.max_epochs=0"], ["max_epochs is 0", "at least 1 epoch"]),
        (["--trainer.max_epochs=-1"], ["max_epochs is -1"]),
        (["--trainer.accumulate_grad_batches=0"], ["trainer.accumulate_grad_batches is 0", "above 0"]),
        (["--trainer.val_check_interval=0"], ["trainer.val_check_interval is 0", "above 0"]),
        (["--trainer.val_check_interval=-0.5"], ["trainer.val_check_interval is -0.5", "above 0"]),
        (["--trainer.check_val_every_n_epoch=0"], ["trainer.check_val_every_n_epoch is 0", "above 0"]),
        (["--trainer.log_every_n_steps=-1"], ["trainer.log_every_n_steps is -1", "0 or more"]),
        (["--ckpt_path="], ["empty value"]),
        (["--model.optimizer.learning_rate=1e308"], ["model.optimizer.learning_rate is 1e+308", "at most 1e+06"]),
        (["--model.optimizer.learning_rate=.nan"], ["model.optimizer.learning_rate is nan", "finite number"]),
        (["--model.optimizer.weight_decay=.inf"], ["model.optimizer.weight_decay is inf", "finite number"]),
        (["--trainer.gradient_clip_val=.nan"], ["trainer.gradient_clip_val is nan", "finite number"]),
        (["--trainer.limit_train_batches=.inf"], ["trainer.limit_train_batches is inf", "finite number"]),
        (["--trainer.max_epochs=1" + "0" * 30], ["trainer.max_epochs is 1000", "64 bits"]),
        (["--trainer.max_epochs=1" + "0" * 5000], ["trainer.max_epochs is '1000", "000...'; wanted int"]),
        (["--warmup.start_factor=[0.1, .nan]"], ["warmup.start_factor is nan", "finite number"]),
        (["--data.augmentation.gain=1e999"], ["data.augmentation.gain is inf", "finite number"]),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_exit_status_2(config: Path, words: list[str], hints: list[str]) -> None:
    assert_mistake(run_command("train fit", f"--config={config}", *words), *hints)


BOMB = "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(8))


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (bytes(range(128, 256)), "not UTF-8 text"),
        (b"a: " + b"{a: " * 1500 + b"1" + b"}" * 1500, "50 levels"),
        (b"trainer: {max_epochs: 1" + b"0" * 5000 + b"}", "5001 digits"),
        (BOMB.encode(), "100,000 values"),
        (b"{trainer: {max epochs: 1}}", "--config: its key 'max epochs' contains a space"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused_in_one_line(
    config: Path, tmp_path: Path, content: bytes, hint: str
) -> None:
    (tmp_path / "more.yaml").write_bytes(content)
    done = run_command("train fit", f"--config={config}", f"--config={tmp_path / 'more.yaml'}")
    assert_mistake(done, hint, *(["more.yaml"] if "--config" not in hint else []))


def test_an_unknown_key_in_a_file_names_the_nearest(config: Path, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("data: {augmentation: {noisse: 1}}\n")
    assert_mistake(
        run_command("train fit", f"--config={config}", f"--config={tmp_path / 'more.yaml'}"),
        "nearest known key is 'data.augmentation.noise'",
    )


def test_a_malicious_checkpoint_is_refused_and_not_executed(config: Path, tmp_path: Path) -> None:
    trace = tmp_path / "executed"

    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.mkdir, (trace,)  # type: ignore[return-value]

    torch.save({"state_dict": {}, "more": Malicious()}, tmp_path / "bad.ckpt")
    assert_mistake(run_command("train fit", f"--config={config}", f"--ckpt_path={tmp_path / 'bad.ckpt'}"), "not loaded")
    assert not trace.exists()
