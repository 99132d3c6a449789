"""Faults of a delivery, and their report."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seg.files import complete_or_absent, writing

SHOWN = 20
"""Largest number of faults of one kind in one layer that are printed; the CSV file holds all."""


@dataclass(frozen=True)
class Fault:
    """A difference between a delivery and its template.

    Attributes:
        kind: Kind of the fault, such as "wrong width".
        file: File, relative to the delivered folder.
        layer: Name of the layer; empty for a fault of a file.
        record: Number of the record, with its unique value; empty for a fault of a layer.
        text: Value found and value wanted.
    """

    kind: str
    file: str
    layer: str
    record: str
    text: str

    def line(self) -> str:
        """The fault in one line."""
        place = ", ".join(part for part in (self.layer, self.record) if part)
        return f"{self.file}{f' ({place})' if place else ''}: {self.kind}: {self.text}"


def report_text(faults: Sequence[Fault]) -> str:
    """Faults as text, one per line; of each kind in a layer, at most SHOWN faults are listed.

    Args:
        faults: Faults in the order of files and layers.
    """
    totals = Counter((fault.file, fault.layer, fault.kind) for fault in faults)
    seen: Counter[tuple[str, str, str]] = Counter()
    lines = []
    for fault in faults:
        key = fault.file, fault.layer, fault.kind
        seen[key] += 1
        if seen[key] <= SHOWN:
            lines.append(fault.line())
        elif seen[key] == SHOWN + 1:
            lines.append(f"{fault.file} ({fault.layer}): {fault.kind}: {totals[key] - SHOWN} more")
    return "\n".join(lines)


def write_report(faults: Sequence[Fault], path: Path) -> None:
    """Write all faults as CSV in UTF-8 with a byte order mark, as spreadsheets expect.

    Args:
        faults: The faults.
        path: The file.

    Raises:
        WriteError: The file cannot be written.
    """
    with (
        complete_or_absent(path) as unfinished,
        writing(path),
        unfinished.open("w", encoding="utf-8-sig", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(["kind", "file", "layer", "record", "text"])
        table.writerows([fault.kind, fault.file, fault.layer, fault.record, fault.text] for fault in faults)
