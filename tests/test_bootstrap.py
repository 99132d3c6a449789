"""Behaviour of scripts/bootstrap.py, in a copy of the repository and without any installation."""

import ast
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from support.project import ROOT

SCRIPT = ROOT / "scripts" / "bootstrap.py"
POSIX_ONLY = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and shell scripts")


class Recorder:
    """Replacement of `bootstrap.run` that records commands and returns the status of the first matching word."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.environments: list[dict[str, str]] = []
        self.statuses: dict[str, int] = {}

    def __call__(self, command: list[str], environment: dict[str, str] | None = None) -> int:
        self.commands.append(" ".join(command[1:]))
        self.environments.append(environment or {})
        return next((status for word, status in self.statuses.items() if word in command), 0)

    @property
    def installs(self) -> list[str]:
        return [command for command in self.commands if command.startswith("-m pip install")]


@pytest.fixture
def bootstrap(tmp_path: Path) -> ModuleType:
    """The script as a new module in a repository of its own, so that a test may replace its functions."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv").mkdir()
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "scripts" / "constraints.txt").write_text("torch==2.15.0\n")
    copy = shutil.copy(SCRIPT, tmp_path / "scripts" / "bootstrap.py")
    loader = SourceFileLoader("bootstrap", str(copy))
    module = ModuleType("bootstrap")
    module.__file__ = str(copy)
    loader.exec_module(module)
    return module


@pytest.fixture
def recorder(bootstrap: ModuleType) -> Recorder:
    """Recorder of the commands of the script, with an intact `.venv`."""
    bootstrap.run = Recorder()
    bootstrap.venv_version = lambda: "3.12.1"
    return bootstrap.run


def test_first_run_installs_with_the_constraints(bootstrap: ModuleType, recorder: Recorder) -> None:
    assert bootstrap.main(["demo"]) == 0
    [install] = recorder.installs
    assert install.endswith(f"-c {bootstrap.CONSTRAINTS} -e .[demo]")


def test_unconstrained_install_leaves_the_versions_to_pip(bootstrap: ModuleType, recorder: Recorder) -> None:
    assert bootstrap.main(["test", "--unconstrained"]) == 0
    [install] = recorder.installs
    assert install.endswith(" -e .[test]")
    assert "-c" not in install.split()


@pytest.mark.parametrize(
    ("first", "second", "installs"), [("demo", "demo", 1), ("test", "demo", 1), ("demo", "test", 2)]
)
def test_sufficient_unchanged_installation_is_skipped(
    bootstrap: ModuleType, recorder: Recorder, first: str, second: str, installs: int
) -> None:
    assert bootstrap.main([first]) == bootstrap.main([second]) == 0
    assert len(recorder.installs) == installs


@pytest.mark.parametrize("changed", ["pyproject.toml", "scripts/constraints.txt"])
def test_changed_project_installs_again(bootstrap: ModuleType, recorder: Recorder, changed: str) -> None:
    bootstrap.main(["demo"])
    (bootstrap.ROOT / changed).write_text("# changed\n")
    bootstrap.main(["demo"])
    assert len(recorder.installs) == 2


def test_upgraded_python_installs_again(bootstrap: ModuleType, recorder: Recorder) -> None:
    bootstrap.main(["demo"])
    bootstrap.venv_version = lambda: "3.13.0"
    bootstrap.main(["demo"])
    assert len(recorder.installs) == 2


def test_failed_install_is_reported_in_one_line_and_leaves_no_stamp(
    bootstrap: ModuleType, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.statuses = {"pip": 1}
    assert bootstrap.main(["demo"]) == 2
    assert recorder.commands == recorder.installs
    assert not bootstrap.STAMP.exists()
    [line] = capsys.readouterr().err.splitlines()
    assert "--unconstrained" in line


def test_killed_install_is_repeated_even_if_the_project_goes_back_to_an_installed_state(
    bootstrap: ModuleType, recorder: Recorder
) -> None:
    def killed(command: list[str], environment: dict[str, str] | None = None) -> int:
        raise KeyboardInterrupt

    original = bootstrap.PROJECT.read_text()
    bootstrap.main(["demo"])
    bootstrap.PROJECT.write_text("# changed\n")
    bootstrap.run = killed
    assert bootstrap.main(["demo"]) == 130
    bootstrap.PROJECT.write_text(original)
    bootstrap.run = recorder
    bootstrap.main(["demo"])
    assert len(recorder.installs) == 2


def test_broken_venv_is_replaced(bootstrap: ModuleType, recorder: Recorder) -> None:
    bootstrap.venv_version = iter([None, "3.12.1"]).__next__
    assert bootstrap.main(["demo"]) == 0
    assert recorder.commands[0] == f"-m venv --clear {bootstrap.VENV}"
    assert len(recorder.installs) == 1


def test_missing_and_broken_venvs_have_no_version(bootstrap: ModuleType) -> None:
    assert bootstrap.venv_version() is None
    bootstrap.PYTHON.parent.mkdir()
    bootstrap.PYTHON.write_text("not a program")
    assert bootstrap.venv_version() is None


def test_python_without_ensurepip_is_refused_in_one_line(
    bootstrap: ModuleType, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bootstrap.venv_version = lambda: None
    monkeypatch.setattr(bootstrap.importlib.util, "find_spec", lambda name: None)
    assert bootstrap.main(["demo"]) == 2
    assert recorder.commands == []
    [line] = capsys.readouterr().err.splitlines()
    assert "ensurepip" in line


def test_demo_runs_its_steps_in_order(
    bootstrap: ModuleType, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    bootstrap.main(["demo"])
    assert recorder.commands[1:] == list(bootstrap.DEMO_STEPS)
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("$ ")]
    assert shown == [f"$ python {step}" for step in bootstrap.DEMO_STEPS]


def test_demo_stops_at_the_first_failure_with_its_status(
    bootstrap: ModuleType, recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.statuses = {"scripts/export.py": 7}
    assert bootstrap.main(["demo"]) == 7
    assert recorder.commands[1:] == list(bootstrap.DEMO_STEPS[:3])
    assert "scripts/export.py failed with exit status 7" in capsys.readouterr().err


def test_every_check_runs_with_the_tests_last_and_their_arguments_passed_on(
    bootstrap: ModuleType, recorder: Recorder
) -> None:
    recorder.statuses = {"check": 1, "mypy": 2}
    assert bootstrap.main(["test", "-k", "x or demo", "--unconstrained", "-x"]) == 2
    assert recorder.commands[1:] == [*bootstrap.LINTERS, f"{bootstrap.PYTEST} -k x or demo -x"]
    assert recorder.environments[-1] == bootstrap.ENVIRONMENT["test"]


def test_status_of_failed_tests_takes_precedence_over_that_of_a_linter(
    bootstrap: ModuleType, recorder: Recorder
) -> None:
    recorder.statuses = {"mypy": 2, "pytest": 5}
    assert bootstrap.main(["test"]) == 5


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("raise SystemExit(3)", 3),
        pytest.param("import os; os.kill(os.getpid(), 9)", 137, marks=POSIX_ONLY),
    ],
)
def test_exit_status_of_a_child_is_returned(bootstrap: ModuleType, program: str, status: int) -> None:
    assert bootstrap.run([sys.executable, "-c", program]) == status


@POSIX_ONLY
def test_interrupt_ends_the_child_and_exits_130_without_a_traceback(bootstrap: ModuleType) -> None:
    bootstrap.PYTHON.parent.mkdir()
    bootstrap.PYTHON.write_text('#!/bin/sh\ncase "$1" in -c) echo 3.12.1;; *) echo started; exec sleep 60;; esac\n')
    bootstrap.PYTHON.chmod(0o755)
    bootstrap.STAMP.write_text(bootstrap.fingerprint("demo", "3.12.1"))
    start = time.monotonic()
    # Python ignores Ctrl-C if it starts with the signal ignored, as in a background job.
    heed = "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); sys.argv[:1] = []"
    with subprocess.Popen(
        [sys.executable, "-c", f"{heed}; runpy.run_path(sys.argv[0], run_name='__main__')", bootstrap.__file__, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [f"$ python {bootstrap.DEMO_STEPS[0]}\n", "started\n"]
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "bootstrap.py: interrupted\n"
    assert time.monotonic() - start < bootstrap.SECONDS_TO_STOP


@pytest.mark.parametrize("arguments", [[], ["bake"], ["demo", "--epochs", "3"], ["--fast", "demo"]])
def test_bad_usage_is_reported_in_one_line_with_exit_status_2(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_help_needs_only_the_standard_library() -> None:
    # -S hides site-packages; test_architecture.py also checks imports inside functions.
    done = subprocess.run([sys.executable, "-I", "-S", SCRIPT, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--unconstrained" in done.stdout


def test_old_python_gets_a_message_with_the_required_version() -> None:
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 6))
    pretend = f"import sys, runpy; sys.version_info = (3, 6, 15); runpy.run_path({str(SCRIPT)!r})"
    done = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "bootstrap.py: this is Python 3.6; run it with Python 3.11 or later\n"


def test_demo_names_scripts_and_a_configuration_that_exist(bootstrap: ModuleType) -> None:
    words = " ".join(bootstrap.DEMO_STEPS).split()
    files = [word for word in words if word.startswith(("scripts/", "configs/"))]
    assert [file for file in files if not (ROOT / file).is_file()] == []
