"""A note is printed if a teacher's targets are nearly all of one class; the unlabelled loss then keeps its weight."""

from types import SimpleNamespace

import pytest
import torch

from seg.errors import ConfigError
from seg.training.tasks.student import UNLABELLED, StudentTask
from seg.training.teachers.targets import KeptShares
from seg.training.watch_targets import WatchTargets
from support.networks import TINY_NETWORK


class Run:
    """A task with given targets of the teacher, and a warm-up that raises the weight by 0.1 per batch."""

    def __init__(self, watch: WatchTargets) -> None:
        self.watch, self.task, self.step = watch, StudentTask(bands=2, model=TINY_NETWORK), 0
        strategy = SimpleNamespace(reduce=lambda value, reduce_op: value)
        self.trainer = SimpleNamespace(current_epoch=0, global_step=0, is_global_zero=True, strategy=strategy)

    def batch(self, cropland: int, other: int) -> float:
        """Weight after a batch with given numbers of kept pixels; a third of the labels are cropland."""
        self.task.loss.weights[UNLABELLED] = 0.1 * self.step
        self.step += 1
        self.watch.on_train_batch_start(self.trainer, self.task, {}, 0)  # type: ignore[arg-type]
        self.task.kept = KeptShares(*map(torch.tensor, (cropland, other, 1000, 100, 300)))
        self.watch.on_train_batch_end(self.trainer, self.task, None, {}, 0)  # type: ignore[arg-type]
        return float(self.task.loss.weights[UNLABELLED])


def test_a_teacher_that_predicts_no_cropland_gets_a_note_and_the_weight_stops_rising(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Run(WatchTargets(every=2))
    weights = [run.batch(cropland=0, other=900) for _ in range(8)]
    assert weights == pytest.approx([0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "only 0.00% of the kept targets are cropland, but 33.3% of the labels" in said


def test_targets_like_the_labels_let_the_weight_rise(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(WatchTargets(every=2))
    assert [run.batch(cropland=200, other=500) for _ in range(5)] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert capsys.readouterr().err == ""


def test_a_teacher_that_predicts_nearly_only_cropland_gets_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(WatchTargets(every=1))
    run.batch(cropland=900, other=1)
    assert "are other, but 66.7% of the labels" in capsys.readouterr().err


def test_the_weight_rises_again_when_the_class_is_back() -> None:
    run = Run(WatchTargets(every=1))
    weights = [run.batch(cropland, 500) for cropland in (0, 0, 0, 300, 300)]
    assert weights == pytest.approx([0, 0, 0, 0, 0.4])


def test_batches_without_a_kept_pixel_give_no_note(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(WatchTargets(every=1))
    assert [run.batch(0, 0) for _ in range(3)] == pytest.approx([0, 0.1, 0.2])
    assert capsys.readouterr().err == ""


def test_a_resumed_run_continues_to_watch() -> None:
    whole, first = Run(WatchTargets(every=4)), Run(WatchTargets(every=4))
    expected = [whole.batch(0, 10) for _ in range(12)]
    found = [first.batch(0, 10) for _ in range(6)]
    resumed = Run(WatchTargets(every=4))
    resumed.watch.load_state_dict(first.watch.state_dict())
    resumed.step = first.step
    assert found + [resumed.batch(0, 10) for _ in range(6)] == expected


def test_an_interval_of_0_batches_is_refused() -> None:
    with pytest.raises(ConfigError, match="every is 0"):
        WatchTargets(every=0)
