"""A disk that is full for a while: nothing is lost that was on it, and training goes on."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from seg.training.checkpoints.atomic_io import complete_or_absent
from support.resume_runs import SIZES, Case, content, differences


@pytest.fixture(scope="module")
def root(make_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "data", sizes=SIZES)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`full_disk(name, writes)`: these writes of a checkpoint, counted from 0, find no room."""

    def fill(name: str, writes: range) -> None:
        count = iter(range(1000))

        def write(path: Path) -> object:
            if path.name == name and next(count) in writes:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            return complete_or_absent(path)

        monkeypatch.setattr("seg.training.checkpoints.atomic_io.complete_or_absent", write)

    return fill


def test_a_training_outlives_a_full_disk_and_writes_again(
    root: Path, tmp_path: Path, full_disk: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = content(Case(root).run(tmp_path / "whole"))
    full_disk("last.ckpt", range(2, 5))
    assert differences(content(Case(root).run(tmp_path / "full")), expected) == []
    said = [line for line in capsys.readouterr().err.splitlines() if "last.ckpt: No space left" in line]
    assert len(said) == 3


def test_a_best_one_that_was_not_written_does_not_count(
    root: Path, tmp_path: Path, full_disk: Callable[..., None]
) -> None:
    full_disk("best.ckpt", range(0, 1))
    Case(root, every_steps=1).run(tmp_path)
    best, last = (torch.load(tmp_path / f"{name}.ckpt", weights_only=True) for name in ("best", "last"))
    [state] = [state for name, state in last["callbacks"].items() if name.startswith("BestCheckpoint")]
    assert best["epoch"] == 1
    assert float(state["best_model_score"]) == pytest.approx(best["metrics"]["val/iou"])


def test_the_best_one_before_is_not_removed_for_one_that_was_not_written(
    root: Path, tmp_path: Path, full_disk: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk("epoch=1.ckpt", range(0, 1))
    case = Case(root, best={"filename": "{epoch}", "monitor": "epoch"})
    case.run(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"epoch=0.ckpt", "last.ckpt"}


def test_an_end_that_is_on_no_disk_is_an_error(root: Path, tmp_path: Path, full_disk: Callable[..., None]) -> None:
    full_disk("last.ckpt", range(1, 99))
    with pytest.raises(OSError, match="No space left on device, so the end of the training is lost; make room"):
        Case(root).run(tmp_path)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2
