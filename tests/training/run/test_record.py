import json
import shutil
import subprocess
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from seg.training.pictures.learning_curves import LearningCurves
from seg.training.run.record import RunRecord, device_name, git_revision, versions
from support.training import quiet_trainer


class Stopping(L.LightningModule):
    """Task that raises an error in the second epoch and keeps the record of that moment."""

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.error = error
        self.meanwhile: dict[str, object] = {}

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        if self.current_epoch == 1:
            self.meanwhile = read(Path(self.trainer.default_root_dir))
            if self.error is not None:
                raise self.error
        loss = self.weight.sum()
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def read(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "run.json").read_text())
    return content


def fit(folder: Path, task: Stopping, callback: L.Callback) -> None:
    trainer = quiet_trainer([callback], max_epochs=2, default_root_dir=folder)
    trainer.fit(task, DataLoader(torch.zeros(2, 1)))


def test_a_record_says_running_until_the_run_is_finished(tmp_path: Path) -> None:
    task = Stopping()
    fit(tmp_path, task, RunRecord(["train", "fit"], 7, lambda: {"sha256": "abc"}))
    assert (task.meanwhile["state"], task.meanwhile["ended"]) == ("running", None)
    record = read(tmp_path)
    assert (record["state"], record["command"], record["seed"]) == ("finished", ["train", "fit"], 7)
    assert (record["dataset"], record["best"]) == ({"sha256": "abc"}, None)


@pytest.mark.parametrize(
    ("error", "raised", "state", "reason"),
    [
        (KeyboardInterrupt(), SystemExit, "interrupted", None),
        (RuntimeError("no luck"), RuntimeError, "failed", "RuntimeError: no luck"),
    ],
)
def test_the_record_distinguishes_an_interruption_from_a_failure(
    tmp_path: Path, error: BaseException, raised: type[BaseException], state: str, reason: str | None
) -> None:
    with pytest.raises(raised):
        fit(tmp_path, Stopping(error), RunRecord([], None))
    record = read(tmp_path)
    assert (record["state"], record["error"], record["epochs"]) == (state, reason, 1)
    assert isinstance(record["ended"], str)


def test_a_record_that_cannot_be_written_does_not_stop_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").mkdir()
    record = RunRecord([], None)
    trainer = quiet_trainer([record], max_epochs=1, default_root_dir=tmp_path)
    trainer.fit(Stopping(), DataLoader(torch.zeros(2, 1)))
    assert "run.json: cannot be written" in capsys.readouterr().err


def test_a_curve_that_cannot_be_drawn_does_not_stop_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metrics.csv").write_bytes(b"\xff\xfe step \x00")
    (tmp_path / "run.json").write_text("{}")
    fit(tmp_path, Stopping(), LearningCurves())
    assert "learning_curves.png was not drawn" in capsys.readouterr().err


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one committed file, `code.py`."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(tmp_path, "init", "--quiet")
    (tmp_path / "code.py").write_text("x = 1\n")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "--quiet", "-m", "Begin")
    return tmp_path


def test_a_tracked_file_has_its_revision_and_a_change_is_seen(repository: Path) -> None:
    revision = git(repository, "rev-parse", "HEAD")
    (repository / "untracked.txt").touch()
    assert git_revision(repository / "code.py") == {"revision": revision, "dirty": False}
    (repository / "code.py").write_text("x = 2\n")
    assert git_revision(repository / "code.py") == {"revision": revision, "dirty": True}


def test_an_untracked_file_in_another_repository_has_no_revision(repository: Path) -> None:
    (repository / "installed.py").touch()
    assert git_revision(repository / "installed.py") is None


def test_a_missing_repository_or_git_gives_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision(tmp_path / "code.py") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision(Path(__file__)) is None


def test_versions_and_device_are_plain_text() -> None:
    found = versions()
    assert found["torch"] == torch.__version__.partition("+")[0]
    assert all(value is None or isinstance(value, str) for value in found.values())
    assert "cpu" in device_name(torch.device("cpu"))
