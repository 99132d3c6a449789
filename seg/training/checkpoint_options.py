"""Options of the training command that come from a checkpoint, checked and merged with the user's options.

A checkpoint must not cause files to be opened or weights to be downloaded. Values that name files or weights are
therefore removed.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from seg.data.datamodule import CroplandDataModule
from seg.errors import ConfigError, PackageError, listed
from seg.models.config import ModelConfig, has_type
from seg.package.checkpoint import Checkpoint
from seg.package.screener import SCREEN
from seg.raster.statistics import BandStatistics
from seg.training.initial_weights import PRETEXT
from seg.training.task_choice import DEFAULT_TASK, TASKS, task_of_checkpoint
from seg.training.tasks.cropland import CroplandTask

Options = dict[str, Any]
"""Plain values by option name, nested as on the command line."""

CHANGEABLE = {"dropout", "encoder_weights"}
"""Network arguments that may differ from those of the checkpoint. Dropout has no weights, and the trained weights
replace the encoder's initial weights."""


def task_options(checkpoint: Checkpoint, task: str = DEFAULT_TASK) -> Options:
    """Arguments of a checkpoint's task as plain values, without the number of bands and the initial weights.

    Args:
        checkpoint: The checkpoint.
        task: Name of the task that will receive the arguments. Arguments unknown to this task are left out.

    Raises:
        PackageError: An argument is unknown, or a value has a wrong type or range.
    """
    wrote = TASKS[task_of_checkpoint(checkpoint.task)]
    given = {name: value for name, value in checkpoint.task.items() if name != "task"}
    options = _checked(checkpoint.path, given, get_type_hints(wrote.__init__), "")
    known = get_type_hints(TASKS[task].__init__)
    options = {name: value for name, value in options.items() if name in known}
    if "bands" not in options or "model" not in options:
        raise PackageError(
            f"{checkpoint.path}: its task has no bands or no model; wanted a checkpoint that scripts/train.py wrote"
        )
    # The number of bands comes from the dataset; CroplandTask.on_load_checkpoint compares the two numbers.
    options.pop("bands")
    # The checkpoint's weights replace the encoder's weights. An untrusted checkpoint must not cause a download or open
    # another file.
    if wrote is not TASKS[SCREEN]:
        options["model"]["encoder_weights"] = None
    options.pop("initial_weights", None)
    return options


def data_options(checkpoint: Checkpoint) -> Options:
    """Bands, nodata value and labels of a checkpoint's training images; missing values are left out.

    Raises:
        PackageError: A value has a wrong type or range.
    """
    stored = {name: checkpoint.data[name] for name in ("bands", "nodata", "labels") if name in checkpoint.data}
    return _checked(checkpoint.path, stored, get_type_hints(CroplandDataModule.__init__), "data.")


def band_statistics_of(checkpoint: Checkpoint) -> BandStatistics | None:
    """Mean and standard deviation by which a checkpoint's network normalises bands; None if they were not stored."""
    mean, std = (checkpoint.weights.get(f"normalization.{name}") for name in ("mean", "std"))
    if mean is None or std is None:
        return None
    return BandStatistics(tuple(mean.tolist()), tuple(std.tolist()), 0)


def match_scenes(task: CroplandTask, data: CroplandDataModule, stored: BandStatistics | None) -> None:
    """Tell the data how a network normalises bands; call this before the data are read.

    A network from a checkpoint expects scenes that are matched to the images of its training, whatever dataset is read
    now.

    Args:
        task: The task.
        data: The data.
        stored: Statistics of the checkpoint; None without a checkpoint.
    """
    data.by_scene = task.normalises_scenes
    if data.by_scene and stored is not None:
        if data.nodata is not None:
            _ = data.statistics  # This computation also notes whether a pixel has the nodata value.
        data.statistics = stored


def with_overrides(
    checkpoint: Checkpoint, given: Mapping[str, Any], task: str = DEFAULT_TASK, trains: bool = False
) -> Options:
    """Arguments of a checkpoint's task, overridden by the user's arguments.

    Args:
        checkpoint: The checkpoint.
        given: Task arguments from the command line or a configuration.
        task: Name of the task that will receive the arguments. Validation and test need only the network, so they
            accept a checkpoint of any task.
        trains: True for a training, which continues with the optimiser's state.

    Raises:
        ConfigError: A given argument contradicts the weights or the optimiser's state, or a training is to continue a
            checkpoint that another task wrote.
        PackageError: A value of the checkpoint has a wrong type or range.
    """
    wrote = task_of_checkpoint(checkpoint.task)
    if trains and wrote != task:
        raise ConfigError(
            f"task is {task}, but {checkpoint.path} was trained by the task {wrote}; add --task={wrote} or its "
            "configuration, or train without --ckpt_path"
        )
    if wrote == PRETEXT != task:
        raise ConfigError(
            f"{checkpoint.path}: was trained to fill in images, so it has no score; start a training on labels with "
            f"--model.initial_weights={checkpoint.path}, or add --task={PRETEXT}"
        )
    if SCREEN in (wrote, task) and wrote != task:
        raise ConfigError(
            f"{checkpoint.path}: was trained by the task {wrote}, but the task is {task}; add --task={wrote} or its "
            "configuration"
        )
    options = task_options(checkpoint, task)
    for name, value in given.get("model", {}).items():
        # An older checkpoint lacks options that were added later; it was trained with their defaults.
        found = options["model"].get(name, getattr(ModelConfig(), name, value))
        _require_same(checkpoint.path, f"model.model.{name}", value, found, CHANGEABLE)
    optimizer = options.get("optimizer", {})
    if trains and "name" in given.get("optimizer", {}):
        found = optimizer.get("name", "adamw")  # Older checkpoints, all from adamw, store no optimiser's name.
        _require_same(checkpoint.path, "model.optimizer.name", given["optimizer"]["name"], found, set())
    joined = _joined(options, given)
    if task != SCREEN:
        joined["model"]["encoder_weights"] = None
    joined.pop("initial_weights", None)  # the checkpoint's weights replace initial weights
    return joined


def _require_same(path: Path, option: str, given: object, found: object, changeable: set[str]) -> None:
    given, found = (list(value) if isinstance(value, tuple) else value for value in (given, found))
    if option.rpartition(".")[2] not in changeable and given != found:
        raise ConfigError(
            f"{option} is {given}, but {path} was trained with {found}, and this value cannot change; leave the "
            "option out, or train without --ckpt_path"
        )


def _joined(options: Mapping[str, Any], given: Mapping[str, Any]) -> Options:
    joined = dict(options)
    for name, value in given.items():
        nested = isinstance(value, Mapping)
        joined[name] = _joined(options.get(name, {}), value) if nested else value
    return joined


def _checked(path: Path, values: object, hints: Mapping[str, Any], place: str) -> Options:
    """Check names and types of values; a dataclass becomes a mapping of its fields."""
    if not isinstance(values, Mapping):
        raise PackageError(
            f"{path}: its {place.rstrip('.') or 'task'} is {_short(values)}; wanted options by name, as "
            "scripts/train.py writes them"
        )
    unknown = sorted(_short(name) for name in values if name not in hints)
    if unknown:
        raise PackageError(f"{path}: unknown {place}{listed(unknown)}; was the checkpoint made by a newer version?")
    options: Options = {}
    for name, value in values.items():
        hint = hints[name]
        if isinstance(hint, type) and is_dataclass(hint):
            options[name] = _checked_part(path, value, hint, f"{place}{name}.")
        elif has_type(value, hint) or has_type(_hashable(value), hint):
            options[name] = value
        else:
            wanted = hint.__name__ if isinstance(hint, type) else hint
            raise PackageError(f"{path}: its {place}{name} is {_short(value)}; wanted {wanted}")
    return options


def _checked_part(path: Path, values: object, kind: type[Any], place: str) -> Options:
    hints = get_type_hints(kind)
    options = _checked(path, values, {field.name: hints[field.name] for field in fields(kind)}, place)
    try:
        kind(**{name: _hashable(value) for name, value in options.items()})
    except ConfigError as error:
        raise PackageError(f"{path}: {error}") from error
    return options


def _hashable(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _short(value: object) -> str:
    """Beginning of a value, on one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."
