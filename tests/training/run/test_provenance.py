import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from seg.training.run.record import (
    device_name,
    git_revision,
    versions,
    write_record,
)


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


def test_an_installed_package_in_somebody_elses_repository_has_no_revision(repository: Path) -> None:
    (repository / "installed.py").touch()
    assert git_revision(repository / "installed.py") is None


def test_no_repository_and_no_git_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision(tmp_path / "code.py") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision(Path(__file__)) is None


def test_versions_and_device_are_plain_text() -> None:
    found = versions()
    assert found["torch"] == torch.__version__.partition("+")[0]
    assert all(value is None or isinstance(value, str) for value in found.values())
    assert "cpu" in device_name(torch.device("cpu"))


def test_a_record_is_written_whole_or_the_older_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.json"
    write_record({"state": "running"}, path)
    with pytest.raises(TypeError):
        write_record({"state": object()}, path)
    assert json.loads(path.read_text()) == {"state": "running"}
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]
