"""Findings of a dataset check, and their severity."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Severity(StrEnum):
    """Severity of a finding."""

    ERROR = "error"
    """Training would stop, or would learn from wrong data."""

    WARNING = "warning"
    """Training would work, but this is probably a mistake."""

    NOTE = "note"
    """Information about a state that may be intended."""


@dataclass(frozen=True)
class Finding:
    """One finding about a dataset.

    Attributes:
        severity: Severity of the finding.
        kind: Short name, stable between versions, such as "mask-values".
        file: File or folder with the problem.
        message: One line with the file, the problem and a remedy.
    """

    severity: Severity
    kind: str
    file: Path
    message: str


def error(kind: str, file: Path, message: str) -> Finding:
    """A finding about a problem that would stop training, or make it learn from wrong data.

    Args:
        kind: Short name of the finding.
        file: File or folder with the problem.
        message: Message without the name of the file. The message of an exception may begin with this name.
    """
    return Finding(Severity.ERROR, kind, file, _line(file, message))


def warning(kind: str, file: Path, message: str) -> Finding:
    """A finding about a probable mistake in the dataset; arguments as for `error`."""
    return Finding(Severity.WARNING, kind, file, _line(file, message))


def note(kind: str, file: Path, message: str) -> Finding:
    """A finding for information; arguments as for `error`."""
    return Finding(Severity.NOTE, kind, file, _line(file, message))


def _line(file: Path, message: str) -> str:
    named = message.startswith(f"{file}:")
    return " ".join((message if named else f"{file}: {message}").split())
