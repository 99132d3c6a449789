import errno
import threading
from pathlib import Path

import pytest

from seg.errors import ConfigError
from seg.files import CLAIM
from seg.training.run.folder import FirstStep, check_run_folder, keep_earlier, metrics_files, taken_folder


@pytest.mark.parametrize("names", [[], [CLAIM], [CLAIM, ".config.yaml.unfinished"]])
def test_an_empty_folder_is_not_moved_away(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "run").mkdir()
    for name in names:
        (tmp_path / "run" / name).touch()
    check_run_folder(tmp_path / "run")
    keep_earlier(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_earlier_runs_are_numbered(tmp_path: Path) -> None:
    for _ in range(2):
        (tmp_path / "run" / "checkpoints").mkdir(parents=True)
        keep_earlier(tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.1", "run.2"]


def test_a_folder_that_is_empty_or_missing_may_be_used(tmp_path: Path) -> None:
    check_run_folder(tmp_path)
    check_run_folder(tmp_path / "new")


@pytest.mark.parametrize("names", [["metrics.csv"], ["config.yaml", "checkpoints/best.ckpt"]])
def test_the_folder_of_a_run_may_be_used(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    check_run_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.yaml", "# lightning.pytorch==2.6.6\nseed_everything: 1\n"),
        ("run.json", '{"state": "running", "command": ["train.py"], "versions": {}, "seed": 1}'),
    ],
)
def test_the_folder_of_a_run_that_was_killed_at_its_beginning_may_be_used(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    check_run_folder(tmp_path)


@pytest.mark.parametrize("name", ["images/scene.tif", "run/metrics.csv", "config.yaml", "run.json"])
def test_a_folder_with_other_files_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match="is not empty and holds no run"):
        check_run_folder(tmp_path)


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(ConfigError, match="holds no run"):
        check_run_folder(tmp_path / "run")


def test_the_current_folder_is_not_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metrics.csv").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="current folder"):
        check_run_folder(tmp_path)


def test_metrics_are_listed_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    for name in ("metrics.csv", "metrics.2.csv", "metrics.10.csv", "metrics.1.csv", "metrics.old.csv"):
        (tmp_path / name).touch()
    names = [path.name for path in metrics_files(tmp_path)]
    assert names == ["metrics.1.csv", "metrics.2.csv", "metrics.10.csv", "metrics.csv"]


def test_a_resumed_run_keeps_its_earlier_metrics_and_record(tmp_path: Path) -> None:
    for name in ("metrics.csv", "run.json", "config.yaml"):
        (tmp_path / name).touch()
    with taken_folder(tmp_path, True, FirstStep()):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "metrics.1.csv", "run.1.json"]


def test_a_full_disk_in_a_thread_of_a_logger_prints_no_traceback(tmp_path: Path) -> None:
    def write_events() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = threading.excepthook
    with taken_folder(tmp_path / "run", resumes=False, first_step=FirstStep()):
        thread = threading.Thread(target=write_events)
        thread.start()  # pytest turns an unhandled error of a thread into a failure
        thread.join()
    assert threading.excepthook is before
