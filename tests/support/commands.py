"""Commands of `cropland-seg` in the test process, and an assertion about their error messages."""

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from seg.entry.program import main


class Ran(NamedTuple):
    """Outcome of a command.

    Attributes:
        status: Exit status.
        out: Text on standard output.
        err: Text on standard error.
    """

    status: int
    out: str
    err: str


def run_command(command: str, *words: object) -> Ran:
    """Run a command such as "predict" or "prepare stats" with its arguments."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([*command.split(), *map(str, words)])
    return Ran(status, out.getvalue(), err.getvalue())


def assert_mistake(ran: Ran, *named: str) -> None:
    """Assert exit status 2 and a single error line that contains all given texts."""
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    assert ran.err.startswith("error: ")
    assert not [words for words in named if words not in ran.err], ran.err
