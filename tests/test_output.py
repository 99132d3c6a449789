from pathlib import Path

import pytest

from seg.errors import ConfigError
from seg.files import make_output_folder, require_output_folder


def test_check_makes_nothing(tmp_path: Path) -> None:
    require_output_folder(tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_folder_is_made_once_and_kept_after(tmp_path: Path) -> None:
    make_output_folder(tmp_path / "report")
    (tmp_path / "report/kept.txt").touch()
    make_output_folder(tmp_path / "report")
    assert (tmp_path / "report/kept.txt").exists()


def test_missing_parent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"its parent folder .*nowhere does not exist"):
        make_output_folder(tmp_path / "nowhere/report")


def test_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report").touch()
    with pytest.raises(ConfigError, match="is a file, wanted a folder"):
        require_output_folder(tmp_path / "report")


def test_folder_that_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Permissions do not stop root, which tests may run as.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigError, match="may not be written"):
        require_output_folder(tmp_path / "report")


def test_refusal_of_the_system_to_make_the_folder_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ConfigError, match=r"report: cannot be made \(Read-only file system\)"):
        make_output_folder(tmp_path / "report")
