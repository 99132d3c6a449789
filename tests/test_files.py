import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seg.errors import ClaimError, ConfigError, WriteError
from seg.files import (
    CLAIM,
    claimed,
    complete_or_absent,
    make_output_folder,
    require_output_file,
    require_output_folder,
    sha256,
    short_hash,
    work_folder,
)

HOLDER = """
import sys, time
from pathlib import Path
from seg.files import claimed
with claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(60)
"""


def test_a_finished_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.json"
    path.write_text("old")
    with complete_or_absent(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("accuracy.json", "new")]


def test_a_second_writer_of_a_file_is_refused(tmp_path: Path) -> None:
    with complete_or_absent(tmp_path / "a") as first:
        first.write_text("whole")
        with (
            pytest.raises(ClaimError, match="a: another process is writing it; wait"),
            complete_or_absent(tmp_path / "a"),
        ):
            pass
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "whole")]


def test_files_of_a_killed_writer_are_removed_when_the_file_is_written_again(tmp_path: Path) -> None:
    (tmp_path / ".a.unfinished").mkdir()
    (tmp_path / ".a.unfinished" / "a").write_text("half")
    with complete_or_absent(tmp_path / "a") as temporary:
        temporary.write_text("whole")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "whole")]


def test_a_system_error_without_a_file_name_gets_the_name_of_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(
            WriteError, match=r"a: cannot be written \(No space left on device\); make .* space left"
        ) as caught,
        complete_or_absent(tmp_path / "a"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "unfinished" not in str(caught.value)


def test_errors_about_other_files_keep_their_names(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input"), complete_or_absent(tmp_path / "a"):
        (tmp_path / "input").read_text()


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(WriteError, match="No space left"), complete_or_absent(path) as temporary:
        temporary.write_text("new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "old")]


def test_interrupted_write_keeps_the_old_file(tmp_path: Path) -> None:
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


def test_hashes_are_sha_256_in_hexadecimal_digits(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc") == known
    assert short_hash("abc") == known[:16]


def test_an_output_file_may_be_new_or_existing(tmp_path: Path) -> None:
    (tmp_path / "old.TIF").touch()
    require_output_file(tmp_path / "old.TIF", (".tif",))
    require_output_file(tmp_path / "new.tif", (".tif",))
    assert [path.name for path in tmp_path.iterdir()] == ["old.TIF"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.png", r"wanted a file name that ends in \.tif or \.tiff"),
        ("folder.tif", "is a folder; name a file"),
        ("absent/a.tif", "its folder .*absent does not exist; create it"),
    ],
)
def test_an_output_file_that_cannot_be_written_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(ConfigError, match=message):
        require_output_file(tmp_path / name, (".tif", ".tiff"))


def test_an_output_file_in_a_read_only_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # Permission bits do not stop root, and tests may run as root.
    with pytest.raises(ConfigError, match="is read-only; name another output"):
        require_output_file(tmp_path / "a.tif")


def test_check_creates_no_file(tmp_path: Path) -> None:
    require_output_folder(tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_folder_is_created_once_and_kept(tmp_path: Path) -> None:
    make_output_folder(tmp_path / "report")
    (tmp_path / "report/kept.txt").touch()
    make_output_folder(tmp_path / "report")
    assert (tmp_path / "report/kept.txt").exists()


def test_missing_parent_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"its parent folder .*nowhere does not exist"):
        make_output_folder(tmp_path / "nowhere/report")


def test_file_instead_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report").touch()
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        require_output_folder(tmp_path / "report")


def test_folder_that_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Permission bits do not stop root, and tests may run as root.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigError, match="is read-only"):
        require_output_folder(tmp_path / "report")


def test_failure_to_create_the_folder_gives_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ConfigError, match=r"report: cannot be created \(Read-only file system\)"):
        make_output_folder(tmp_path / "report")


def test_a_folder_has_one_claim_at_a_time(tmp_path: Path) -> None:
    with (
        claimed(tmp_path),
        pytest.raises(ClaimError, match="another process uses this folder; wait"),
        claimed(tmp_path),
    ):
        pass


def test_a_claim_ends_with_its_context_or_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path):
        raise KeyboardInterrupt
    with claimed(tmp_path):
        pass
    with claimed(tmp_path):
        pass


def test_the_claim_of_a_killed_process_ends_with_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "claimed\n"
        with pytest.raises(ClaimError, match="another process"), claimed(tmp_path):
            pass
        holder.kill()
    with claimed(tmp_path):
        pass


def test_the_lock_file_is_removed_with_the_claim(tmp_path: Path) -> None:
    with claimed(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [CLAIM]
    assert list(tmp_path.iterdir()) == []


def refuse_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_accepts_every_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_locks(monkeypatch, number)
    with claimed(tmp_path), claimed(tmp_path):
        pass


def test_a_broken_disk_is_not_reported_as_a_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_locks(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"), claimed(tmp_path):
        pass


def test_a_missing_folder_cannot_be_claimed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), claimed(tmp_path / "absent"):
        pass


def test_a_work_folder_removes_files_of_killed_runs_and_itself(tmp_path: Path) -> None:
    left = tmp_path / ".a.gpkg.unfinished"
    (left / "inner").mkdir(parents=True)
    (left / "spool.sqlite").write_text("left")
    with work_folder(tmp_path / "a.gpkg") as folder:
        assert [path.name for path in folder.iterdir()] == [CLAIM]
        (folder / "a.gpkg").write_text("unfinished")
        with (
            pytest.raises(ClaimError, match=r"a\.gpkg: another process is writing it"),
            work_folder(tmp_path / "a.gpkg"),
        ):
            pass
        assert (folder / "a.gpkg").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_link_instead_of_a_work_folder_is_refused(tmp_path: Path) -> None:
    kept = tmp_path / "mine" / "notes.txt"
    kept.parent.mkdir()
    kept.write_text("my own")
    (tmp_path / ".a.gpkg.unfinished").symlink_to(kept.parent)
    with pytest.raises(WriteError, match=r"\.unfinished: is a link"), work_folder(tmp_path / "a.gpkg"):
        pass
    assert kept.exists()
