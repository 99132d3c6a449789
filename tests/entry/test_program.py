import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import seg
from seg.entry.program import COMMANDS, main
from support.project import ROOT, SCRIPTS


def test_help_lists_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    code = "import sys; from seg.entry.program import main; main(['--help']); print('jsonargparse' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert done.stdout.splitlines()[-1] == "False"


def test_every_script_except_the_bootstrap_is_a_command() -> None:
    assert {path.stem for path in SCRIPTS.glob("*.py")} - {"bootstrap"} == set(COMMANDS)


def test_without_arguments_the_help_is_shown_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: cropland-seg COMMAND" in capsys.readouterr().out


def test_program_shows_the_version_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cropland-seg {seg.__version__}\n"


@pytest.mark.parametrize(("word", "hint"), [("predcit", "'predict'"), ("xyz", "wanted one of prepare, train")])
def test_unknown_command_is_refused_in_one_line_with_status_2(
    word: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert hint in error


def test_command_does_the_work_of_its_script_and_restores_sys_argv(tmp_path: Path) -> None:
    before = sys.argv
    assert main(["prepare", "demo", "--output", str(tmp_path / "demo")]) == 0
    assert (tmp_path / "demo" / "scene.tif").is_file()
    assert sys.argv is before


def test_mistake_of_a_command_gives_status_2_and_one_error_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["polygons", "--input", "map.tif", "--output", "parcels.txt"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_help_of_a_command_shows_its_full_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["restore", "--help"])
    assert "cropland-seg restore" in capsys.readouterr().out


def test_installation_offers_the_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"cropland-seg": f"{main.__module__}:{main.__name__}"}
