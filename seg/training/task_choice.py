"""Tasks by their names on the command line, and the choice of a task before its options are parsed."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from seg.data.datamodule import CroplandDataModule
from seg.data.unlabelled_module import UnlabelledDataModule
from seg.errors import ConfigError
from seg.training.cell_data import CellDataModule
from seg.training.tasks.base import ScheduledTask
from seg.training.tasks.cropland import CroplandTask
from seg.training.tasks.pretext import PretextTask
from seg.training.tasks.screen import ScreenTask
from seg.training.tasks.student import StudentTask

TASKS: dict[str, type[ScheduledTask]] = {
    "cropland": CroplandTask,
    "student": StudentTask,
    "pretext": PretextTask,
    "screen": ScreenTask,
}
"""Tasks by name."""

DATA: dict[str, type[CroplandDataModule]] = {"pretext": UnlabelledDataModule, "screen": CellDataModule}
"""Data of a task, if not a dataset with masks: unlabelled scenes alone, or cells of scenes."""

DEFAULT_TASK = "cropland"

DEFAULTS: dict[str, dict[str, Any]] = {
    "student": {"data.views.count": 2},
    "pretext": {"checkpoint.monitor": "val/loss", "checkpoint.mode": "min"},
    # The held-out scenes choose the cut of a screener. If they also chose the epoch, the risk would be understated.
    "screen": {"checkpoint.monitor": "val/loss", "checkpoint.mode": "min", "checkpoint.save_top_k": 0},
}
"""Default values of options by task, if they differ from the general default values."""


def data_module(task: str) -> type[CroplandDataModule]:
    """Class of a task's data."""
    return DATA.get(task, CroplandDataModule)


def wanted_task(words: Sequence[str]) -> str:
    """Name of the task in a command line; if several options or configurations name a task, the last one is used.

    The options of `model` depend on the task, so the task must be known before these options are parsed.

    Args:
        words: Words of the command line; configurations are YAML.

    Raises:
        ConfigError: There is no such task.
    """
    task: object = DEFAULT_TASK
    for word, following in zip_longest(words, words[1:]):
        option, equals, value = word.partition("=")
        given = value if equals else following
        if option == "--task":
            task = given
        elif option == "--config" and given:
            task = _of_configuration(given) or task
    if task not in TASKS:
        raise ConfigError(f"task is {task}; wanted {' or '.join(TASKS)}")
    return str(task)


def task_of_checkpoint(arguments: object) -> str:
    """Name of the task that wrote a checkpoint."""
    named = arguments.get("task") if isinstance(arguments, dict) else None
    return named if isinstance(named, str) and named in TASKS else DEFAULT_TASK


def _of_configuration(given: str) -> object:
    """Task that a configuration names; None if its file cannot be read, since the parser reports this error later."""
    try:
        text = Path(given).read_text(encoding="utf-8") if "\n" not in given else given
        content = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None
    return content.get("task") if isinstance(content, dict) else None
