"""A signal stops a training after a step, with a checkpoint that goes on to the bit."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from seg.package.checkpoint import load_checkpoint
from seg.training.cli import main
from seg.training.tasks.cropland import CroplandTask
from support.training import write_config

WORDS = [
    "--trainer.accumulate_grad_batches=2",
    "--trainer.logger=false",
    "--panels.scenes=0",
    "--panels.curves=false",
    "--model.model.dropout=0.2",
]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Lightning leaves Ctrl-C switched off after an interrupted training."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def config(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    return write_config(tmp_path, make_dataset)


Due = Callable[[CroplandTask, int], bool]


def send_when(monkeypatch: pytest.MonkeyPatch, hook: str, number: int, due: Due) -> None:
    """Let the task send this process a signal from one of its hooks."""

    def send(task: CroplandTask, batch: object = None, batch_idx: int = -1, *_: object) -> None:
        if due(task, batch_idx):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(CroplandTask, hook, send)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "run" / "checkpoints" / "last.ckpt")["state_dict"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_from_the_step_to_the_weights_of_an_uninterrupted_run(
    config: Path, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", f"--config={config}", *WORDS]
    assert main([*words, f"--trainer.default_root_dir={tmp_path / 'whole' / 'run'}"]) == 0
    # In the first batch of the second epoch, in the middle of a step.
    with monkeypatch.context() as patch:
        due = lambda task, batch_idx: task.current_epoch == 1 and batch_idx == 0  # noqa: E731
        send_when(patch, "on_train_batch_start", number, due)
        assert main(words) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "error: interrupted after step 3; resume with --ckpt_path=last"
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 3
    assert main([*words, "--ckpt_path=last"]) == 0
    wanted = weights(tmp_path / "whole")
    assert all(torch.equal(value, wanted[name]) for name, value in weights(tmp_path).items())


def test_during_a_validation_the_epoch_is_finished_first(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    send_when(monkeypatch, "on_validation_start", signal.SIGINT, lambda task, _: task.current_epoch == 0)
    assert main(["fit", f"--config={config}", *WORDS]) == 130
    assert "resume from" in capsys.readouterr().err.splitlines()[-1]
    checkpoint = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert (checkpoint["epoch"], checkpoint["global_step"]) == (0, 2)
    assert "val/iou" in checkpoint["metrics"]


def test_a_second_signal_stops_at_once(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def twice(task: CroplandTask, batch_idx: int) -> bool:
        if task.current_epoch == 1 and batch_idx == 0:
            listening = signal.getsignal(signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            # Two that come before the first is heard count as one.
            until = time.monotonic() + 30
            while signal.getsignal(signal.SIGINT) == listening and time.monotonic() < until:
                time.sleep(0.01)
            return True
        return False

    send_when(monkeypatch, "on_train_batch_start", signal.SIGINT, twice)
    assert main(["fit", f"--config={config}", *WORDS]) == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "error: interrupted; resume from the last checkpoint with --ckpt_path=last"
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 2


def test_signals_are_as_before_when_a_training_has_ended(config: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert main(["fit", f"--config={config}", *WORDS]) == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
