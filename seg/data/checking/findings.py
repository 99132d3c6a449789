"""What a check of a dataset can find."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """Training would stop, or learn something wrong."""

    WARNING = "warning"
    """Training works, but this is seldom meant."""

    NOTE = "note"
    """Worth knowing; often meant."""


@dataclass(frozen=True)
class Finding:
    """One thing found in a dataset.

    Attributes:
        severity: How much it matters.
        kind: A short name that stays the same between versions, for example "mask-values".
        file: The file or folder that it was found in.
        message: One line: the file, what it has, what was wanted, what to do.
    """

    severity: Severity
    kind: str
    file: Path
    message: str


def error(kind: str, file: Path, message: str) -> Finding:
    """A finding with which training would be wrong.

    Args:
        kind: Its short name.
        file: Where it was found.
        message: What an exception said, which names the file first, or the rest of such a line.
    """
    return Finding(Severity.ERROR, kind, file, _line(file, message))


def warning(kind: str, file: Path, message: str) -> Finding:
    """A finding that is seldom meant; arguments as in `error`."""
    return Finding(Severity.WARNING, kind, file, _line(file, message))


def note(kind: str, file: Path, message: str) -> Finding:
    """A finding that is worth knowing; arguments as in `error`."""
    return Finding(Severity.NOTE, kind, file, _line(file, message))


def _line(file: Path, message: str) -> str:
    named = message.startswith(f"{file}:")
    return " ".join((message if named else f"{file}: {message}").split())
