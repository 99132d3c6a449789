"""The best and the last checkpoint: time of writing, full disks, and reading the last one."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch

from seg.errors import ConfigError, PackageError, WriteError
from seg.files import complete_in_claimed_folder
from seg.training.checkpoints.atomic_io import AtomicCheckpointIO
from seg.training.checkpoints.saving import LastCheckpoint, read_last
from support.resume_runs import SIZES, Case, content, differences
from support.training import quiet_trainer

Written = list[tuple[int, int]]


@pytest.fixture(scope="module")
def root(make_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "data", sizes=SIZES)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    """Number of batches in the epoch, and number of steps in the run, before each write of `last.ckpt`."""
    found: Written = []
    save = AtomicCheckpointIO.save_checkpoint

    def note(self: AtomicCheckpointIO, checkpoint: dict[str, Any], path: str | Path, **more: object) -> None:
        if Path(path).name == "last.ckpt":
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
            found.append((progress["processed"], checkpoint["global_step"]))
        save(self, checkpoint, path, **more)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", note)
    return found


def test_a_training_writes_checkpoints_only_between_steps(root: Path, tmp_path: Path, written: Written) -> None:
    Case(root, trainer={"accumulate_grad_batches": 3}, every_steps=1).run(tmp_path)
    assert written == [(3, 1), (6, 2), (7, 3), (3, 4), (6, 5), (7, 6)]


def test_a_resumed_training_writes_checkpoints_only_between_steps(root: Path, tmp_path: Path, written: Written) -> None:
    case = Case(root, trainer={"accumulate_grad_batches": 3}, every_steps=2)
    last = case.run(tmp_path, kill_at=8)
    assert written == [(6, 2), (7, 3)]
    case.run(tmp_path, resumed=last)
    assert written == [(6, 2), (7, 3), (3, 4), (7, 6)]


def test_minutes_count_from_the_last_checkpoint(
    root: Path, tmp_path: Path, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1000))
    fake = SimpleNamespace(monotonic=lambda: 60.0 * next(clock))
    monkeypatch.setattr("seg.training.checkpoints.saving.time", fake)
    callback = LastCheckpoint(dirpath=str(tmp_path), every_minutes=2)
    monkeypatch.setattr("support.resume_runs.LastCheckpoint", lambda **_: callback)
    Case(root, trainer={"max_epochs": 1}).run(tmp_path)
    # The clock advances a minute at each reading: at the start, after each batch except the last, after each file.
    assert written == [(2, 2), (4, 4), (6, 6), (7, 7)]


def test_leftovers_of_a_killed_training_are_deleted(tmp_path: Path) -> None:
    (tmp_path / ".last.ckpt.0a1b.partial").touch()
    (tmp_path / "best.ckpt").touch()
    trainer = quiet_trainer(default_root_dir=tmp_path)
    LastCheckpoint(dirpath=str(tmp_path)).setup(trainer, L.LightningModule(), "validate")
    assert len(list(tmp_path.iterdir())) == 2
    LastCheckpoint(dirpath=str(tmp_path)).setup(trainer, L.LightningModule(), "fit")
    assert [path.name for path in tmp_path.iterdir()] == ["best.ckpt"]


@pytest.mark.parametrize(("name", "value"), [("every_minutes", 0), ("every_minutes", float("nan")), ("every_steps", 0)])
def test_intervals_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"last_checkpoint\.{name} is {value:g}; wanted"):
        LastCheckpoint(**{name: value})  # type: ignore[arg-type]


def write_checkpoint(path: Path, step: int, age: float = 0.0) -> Path:
    """Write a checkpoint with a number that identifies it."""
    content = {"state_dict": {"model.a": torch.ones(500)}, "hyper_parameters": {"step": step}, "CroplandDataModule": {}}
    torch.save(content, path)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_the_last_checkpoint_is_read_even_if_another_is_newer(tmp_path: Path) -> None:
    last = write_checkpoint(tmp_path / "last.ckpt", 1, age=10)
    write_checkpoint(tmp_path / "best.ckpt", 2)
    assert read_last(last).task["step"] == 1


def test_a_checkpoint_truncated_at_any_byte_is_never_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = write_checkpoint(tmp_path / "last.ckpt", 1)
    write_checkpoint(tmp_path / "best.ckpt", 2, age=5)
    write_checkpoint(tmp_path / "best-v1.ckpt", 3, age=9)
    whole = last.read_bytes()
    lengths = [*range(0, len(whole), 97), len(whole) - 1]
    for length in lengths:
        last.write_bytes(whole[:length])
        assert read_last(last).path == tmp_path / "best.ckpt"
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == len(lengths)
    assert printed[-1].startswith(f"note: {last}: damaged")
    assert printed[-1].endswith(f"using {tmp_path / 'best.ckpt'} instead")


def test_a_checkpoint_whose_end_is_zeros_is_damaged(tmp_path: Path) -> None:
    last = write_checkpoint(tmp_path / "last.ckpt", 1)
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
    write_checkpoint(tmp_path / "best.ckpt", 2)
    assert read_last(last).task["step"] == 2


def test_without_a_last_checkpoint_the_best_is_read(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "best.ckpt", 2)
    assert read_last(tmp_path / "last.ckpt").task["step"] == 2


def test_without_an_intact_checkpoint_the_error_names_the_last(tmp_path: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        (tmp_path / name).write_bytes(b"half")
    with pytest.raises(PackageError, match=r"last\.ckpt: damaged") as caught:
        read_last(tmp_path / "last.ckpt")
    assert "\n" not in str(caught.value)


def test_a_temporary_file_is_not_read_as_a_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / ".last.ckpt.0a1b.partial", 1)
    with pytest.raises(PackageError, match=r"last\.ckpt: no such file"):
        read_last(tmp_path / "last.ckpt")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Function `full_disk(name, writes)`. Writes of the checkpoint whose numbers, from 0, are in `writes` then fail."""

    def fill(name: str, writes: range) -> None:
        count = iter(range(1000))

        def write(path: Path) -> object:
            if path.name == name and next(count) in writes:
                raise WriteError(f"{path}: cannot be written (No space left on device); make room")
            return complete_in_claimed_folder(path)

        monkeypatch.setattr("seg.training.checkpoints.atomic_io.complete_in_claimed_folder", write)

    return fill


def test_a_training_continues_on_a_full_disk_and_writes_checkpoints_later(
    root: Path, tmp_path: Path, full_disk: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = content(Case(root).run(tmp_path / "whole"))
    full_disk("last.ckpt", range(2, 5))
    assert differences(content(Case(root).run(tmp_path / "full")), expected) == []
    printed = [line for line in capsys.readouterr().err.splitlines() if "last.ckpt: cannot be written" in line]
    assert len(printed) == 3


def test_a_best_checkpoint_that_was_not_written_is_not_recorded(
    root: Path, tmp_path: Path, full_disk: Callable[..., None]
) -> None:
    full_disk("best.ckpt", range(0, 1))
    Case(root, every_steps=1).run(tmp_path)
    best, last = (torch.load(tmp_path / f"{name}.ckpt", weights_only=True) for name in ("best", "last"))
    [state] = [state for name, state in last["callbacks"].items() if name.startswith("BestCheckpoint")]
    assert best["epoch"] == 1
    assert float(state["best_model_score"]) == pytest.approx(best["metrics"]["val/iou"])


def test_the_previous_best_checkpoint_stays_if_a_better_one_is_not_written(
    root: Path, tmp_path: Path, full_disk: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk("epoch=1.ckpt", range(0, 1))
    case = Case(root, best={"filename": "{epoch}", "monitor": "epoch"})
    case.run(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"epoch=0.ckpt", "last.ckpt"}


def test_an_unwritten_final_checkpoint_is_an_error(root: Path, tmp_path: Path, full_disk: Callable[..., None]) -> None:
    full_disk("last.ckpt", range(1, 99))
    with pytest.raises(WriteError, match=r"No space left on device.*; the end of the training is lost, so free"):
        Case(root).run(tmp_path)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2
