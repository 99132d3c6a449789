import sys
from io import StringIO

import pytest

from seg.terminal.progress import progress_bar, with_progress


class Terminal(StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_the_pieces_and_the_text() -> None:
    stream = Terminal()
    with progress_bar("mapping", 4, stream) as bar:
        bar.step()
        bar.step()
        bar.move(3, 5, "0.5 Mpx/s")
    assert "mapping" in stream.getvalue()
    assert "3/5" in stream.getvalue()
    assert "0.5 Mpx/s" in stream.getvalue()


def test_a_file_sees_nothing() -> None:
    stream = StringIO()
    with progress_bar("mapping", 2, stream) as bar:
        bar.step()
        bar.move(2, 2)
    assert stream.getvalue() == ""


def test_items_are_passed_on_and_counted_on_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(with_progress(["a", "b"], "reading")) == ["a", "b"]
    assert "2/2" in stream.getvalue()


def test_items_are_taken_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    numbers = iter(range(3))
    assert next(iter(with_progress(numbers, "reading", 3))) == 0
    assert next(numbers) == 1
