import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from support.project import SCRIPTS

Main = Callable[[Sequence[str]], int]


def one_line_error(capsys: pytest.CaptureFixture[str]) -> str:
    """The single line on standard error, with nothing on standard output."""
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert line.startswith("error: ")
    return line


def test_demo_writes_the_dataset_and_prints_where_it_is_with_its_folds(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--output", str(tmp_path / "demo")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'demo'}: ")
    assert [line.replace("|", " ").split()[0] for line in [lines[1], *lines[3:]]] == ["fold", "0", "1", "2", "3", "4"]
    assert (tmp_path / "demo" / "manifest.csv").is_file()


def test_demo_runs_twice_into_one_folder(main: Main, tmp_path: Path) -> None:
    assert [main(["demo", "--output", str(tmp_path / "demo")]) for _ in range(2)] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_output_without_a_parent_is_one_line_and_status_2(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--output", str(tmp_path / "nowhere" / "demo")]) == 2
    assert f"{tmp_path / 'nowhere'} does not exist" in one_line_error(capsys)


def test_unwritable_parent_is_one_line_and_status_2(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    # Root ignores permission bits; nobody can make a folder in /proc.
    parent = Path("/proc") if os.access(locked, os.W_OK) else locked
    assert main(["demo", "--output", str(parent / "demo")]) == 2
    assert f"{parent / 'demo'}: cannot be written" in one_line_error(capsys)


def test_folder_with_other_files_is_one_line_and_status_2(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "holds notes.txt" in one_line_error(capsys)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_script_hands_its_exit_status_to_the_shell(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "prepare.py"), "demo", "--output", str(tmp_path / "nowhere" / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
