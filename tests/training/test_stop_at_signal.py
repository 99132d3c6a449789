"""A signal stops a training after a step; resuming from the checkpoint gives the same result bit for bit."""

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
    """Restore the signal handlers, since Lightning ignores Ctrl-C after an interrupted training."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def config(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    return write_config(tmp_path, make_dataset)


Due = Callable[[CroplandTask, int], bool]


def send_when(monkeypatch: pytest.MonkeyPatch, hook: str, number: int, due: Due) -> None:
    """Send this process a signal from a hook of the task."""

    def send(task: CroplandTask, batch: object = None, batch_idx: int = -1, *_: object) -> None:
        if due(task, batch_idx):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(CroplandTask, hook, send)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "run" / "checkpoints" / "last.ckpt")["state_dict"]


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.campaign), signal.SIGTERM])
def test_a_training_resumed_after_a_signal_equals_an_uninterrupted_one(
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


def test_a_signal_during_a_validation_takes_effect_after_the_epoch(
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
            # If a second signal comes before the first is handled, the two count as one.
            until = time.monotonic() + 30
            while signal.getsignal(signal.SIGINT) == listening and time.monotonic() < until:
                time.sleep(0.01)
            return True
        return False

    send_when(monkeypatch, "on_train_batch_start", signal.SIGINT, twice)
    assert main(["fit", f"--config={config}", *WORDS]) == 130
    printed = capsys.readouterr().err.splitlines()[-1]
    assert printed == "error: interrupted; resume from the last checkpoint with --ckpt_path=last"
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["global_step"] == 2


def test_signal_handlers_are_restored_after_a_training(config: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert main(["fit", f"--config={config}", *WORDS]) == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
