import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from support.commands import assert_mistake, run_command
from support.project import SCRIPTS

Main = Callable[[Sequence[str]], int]


def test_demo_writes_the_dataset_and_prints_path_and_folds(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--output", str(tmp_path / "demo")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'demo'}: ")
    assert [line.replace("|", " ").split()[0] for line in [lines[1], *lines[3:]]] == ["fold", "0", "1", "2", "3", "4"]
    assert (tmp_path / "demo" / "manifest.csv").is_file()


def test_demo_can_run_twice_into_the_same_folder(main: Main, tmp_path: Path) -> None:
    assert [main(["demo", "--output", str(tmp_path / "demo")]) for _ in range(2)] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_output_without_a_parent_is_refused_in_one_line_with_status_2(tmp_path: Path) -> None:
    ran = run_command("prepare demo", "--output", tmp_path / "nowhere" / "demo")
    assert_mistake(ran, f"{tmp_path / 'nowhere'} does not exist")


def test_unwritable_parent_is_refused_in_one_line_with_status_2(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    # Root ignores permission bits, but no user can make a folder in /proc.
    parent = Path("/proc") if os.access(locked, os.W_OK) else locked
    assert_mistake(run_command("prepare demo", "--output", parent / "demo"), f"{parent / 'demo'}: cannot be written")


def test_folder_with_other_files_is_refused_in_one_line_with_status_2(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert_mistake(run_command("prepare demo", "--output", tmp_path), "holds notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_script_returns_its_exit_status(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "prepare.py"), "demo", "--output", str(tmp_path / "nowhere" / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
