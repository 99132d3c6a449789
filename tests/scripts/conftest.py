import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from seg.console import run_command

SCRIPTS = Path(__file__).parents[2] / "scripts"


def load_script(name: str) -> ModuleType:
    """A script as a module, without running it."""
    path = SCRIPTS / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_script", path / "__main__.py" if path.is_dir() else path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run_script(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """`run_script("predict", "--input", ...)`: exit status, standard output and standard error of a script.

    The script's command is the function of its own name.
    """

    def run(name: str, *words: object) -> tuple[int, str, str]:
        status = run_command(getattr(load_script(name), name), [str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
