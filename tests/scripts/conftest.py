from collections.abc import Callable, Sequence

import pytest

from script_loading import load_script
from seg.console import run_command


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


@pytest.fixture(scope="session")
def main() -> Callable[[Sequence[str]], int]:
    """The exit status of `scripts/prepare.py` for the words of a command line."""
    function: Callable[[Sequence[str]], int] = load_script("prepare").main
    return function
