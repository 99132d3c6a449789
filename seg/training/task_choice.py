"""Tasks by the names that the command line knows, and the choice of one before its options are parsed."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from seg.errors import ConfigError
from seg.training.tasks.cropland import CroplandTask
from seg.training.tasks.student import StudentTask

TASKS: dict[str, type[CroplandTask]] = {"cropland": CroplandTask, "student": StudentTask}
"""Tasks by name."""

DEFAULT_TASK = "cropland"

DEFAULTS: dict[str, dict[str, Any]] = {"student": {"data.views.count": 2}}
"""Defaults of options that differ for a task."""


def wanted_task(words: Sequence[str]) -> str:
    """Name of the task that a command line wants: that of the last `--task` or configuration that names one.

    The options of the model are those of its task, so it must be known before they are parsed.

    Args:
        words: Words of the command line, whose configurations are YAML.

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
    """Name of the task that wrote a checkpoint, by the arguments that it keeps."""
    named = arguments.get("task") if isinstance(arguments, dict) else None
    return named if isinstance(named, str) and named in TASKS else DEFAULT_TASK


def _of_configuration(given: str) -> object:
    """Task that a configuration names; the parser reports a file that is missing or damaged."""
    try:
        text = Path(given).read_text(encoding="utf-8") if "\n" not in given else given
        content = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None
    return content.get("task") if isinstance(content, dict) else None
