"""Losses, scores and learning rates of a run, read from all its metrics files; each resumption starts a new file."""

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seg.training.run.folder import metrics_files

Point = tuple[float, float]


@dataclass(frozen=True)
class History:
    """Course of a run's metrics.

    Attributes:
        series: (epochs, value) points by column, in the order of epochs; 2.5 epochs means halfway through the third
            epoch.
        resumed: Number of epochs that had been trained at each resumption.
    """

    series: dict[str, list[Point]] = field(default_factory=dict)
    resumed: list[float] = field(default_factory=list)


def read_history(root: Path) -> History:
    """Read the history of a run; if a step was repeated after resuming, only its later value is kept.

    Args:
        root: The run's folder. If it has no metrics files, the history is empty.
    """
    rows: list[dict[str, float]] = []
    resumed: list[float] = []
    for path in metrics_files(root):
        later = _read(path)
        if not later:
            continue
        first = min(row["step"] for row in later)
        rows = [row for row in rows if row["step"] < first]
        trained = max((row["epoch"] + 1 for row in rows if "epoch" in row), default=0.0)
        resumed = [epochs for epochs in resumed if epochs < trained] + [trained] * bool(trained)
        rows += later
    return _history(rows, resumed)


def _history(rows: list[dict[str, float]], resumed: list[float]) -> History:
    ends = {row["epoch"] + 1: row["step"] + 1 for row in rows if "epoch" in row}
    if not ends:
        return History()
    series: dict[str, list[Point]] = {}
    for row in rows:
        # Rows of learning rates have no epoch; they are logged within epochs. Other values are logged at epoch ends.
        epochs = row["epoch"] + 1 if "epoch" in row else _epochs_at(row["step"], ends)
        for name in row.keys() - {"epoch", "step"}:
            series.setdefault(name, []).append((epochs, row[name]))
    return History({name: sorted(points) for name, points in series.items()}, resumed)


def _epochs_at(step: float, ends: dict[float, float]) -> float:
    """Epochs trained after a number of steps.

    Args:
        step: Number of steps.
        ends: Step at the end of each epoch, by the number of epochs.
    """
    epochs, steps = [0.0, *sorted(ends)], [0.0, *sorted(ends.values())]
    if step > steps[-1]:  # in an unfinished epoch
        return epochs[-1] * step / steps[-1]
    return float(np.interp(step, steps, epochs))


def _read(path: Path) -> list[dict[str, float]]:
    """Rows of a metrics file that have a step; cells that hold no number are left out."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: _number(cell) for name, cell in row.items() if name} for row in csv.DictReader(file)]
    plain = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return [row for row in plain if "step" in row]


def _number(cell: object) -> float | None:
    try:
        value = float(str(cell))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
