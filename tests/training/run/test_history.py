from pathlib import Path

import pytest

from seg.training.run.history import read_history


def write(path: Path, rows: str) -> None:
    path.write_text("epoch,step,val/iou,train/loss,learning_rate/pg1\n" + rows)


def test_a_rate_logged_within_an_epoch_has_a_fractional_epoch(tmp_path: Path) -> None:
    write(tmp_path / "metrics.csv", ",5,,,0.5\n0,9,0.6,,\n1,19,0.7,,\n,25,,,0.1\n")
    series = read_history(tmp_path).series
    assert series["val/iou"] == [(1, 0.6), (2, 0.7)]
    assert series["learning_rate/pg1"] == [(0.5, 0.5), (pytest.approx(2.5), 0.1)]


def test_steps_repeated_after_resuming_count_once(tmp_path: Path) -> None:
    write(tmp_path / "metrics.1.csv", "0,9,0.1,,\n1,19,0.2,,\n2,29,0.9,,\n")
    write(tmp_path / "metrics.2.csv", "2,29,0.3,,\n")
    write(tmp_path / "metrics.csv", "3,39,0.4,,\n")
    history = read_history(tmp_path)
    assert [value for _, value in history.series["val/iou"]] == [0.1, 0.2, 0.3, 0.4]
    assert history.resumed == [2, 3]


def test_metrics_of_ten_resumptions_stay_in_order(tmp_path: Path) -> None:
    for number in range(1, 12):
        write(tmp_path / f"metrics.{number}.csv", f"{number},{number},{number},,\n")
    assert [value for _, value in read_history(tmp_path).series["val/iou"]] == list(range(1, 12))


@pytest.mark.parametrize("rows", ["", ",3,,,0.1\n", "0,9,nan,,\n"])
def test_metrics_without_numbers_give_empty_curves(tmp_path: Path, rows: str) -> None:
    write(tmp_path / "metrics.csv", rows)
    assert "val/iou" not in read_history(tmp_path).series


def test_a_folder_without_metrics_has_no_history(tmp_path: Path) -> None:
    assert read_history(tmp_path).series == {}
