import errno
import os
from pathlib import Path

import pytest

from seg.files import complete_or_absent


def test_a_finished_file_takes_the_old_ones_place(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.json"
    path.write_text("old")
    with complete_or_absent(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("accuracy.json", "new")]


def test_two_writers_of_one_file_do_not_share_a_temporary_one(tmp_path: Path) -> None:
    with complete_or_absent(tmp_path / "a") as first, complete_or_absent(tmp_path / "a") as second:
        assert first != second
        first.touch()
        second.touch()


def test_a_disk_that_is_full_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(OSError, match="No space left"), complete_or_absent(path) as temporary:
        temporary.write_text("new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "old")]


def test_interrupted_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.json"
    path.write_text("old")

    def write_half() -> None:
        with complete_or_absent(path) as temporary:
            temporary.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [file.name for file in tmp_path.iterdir()] == ["accuracy.json"]
    assert path.read_text() == "old"
