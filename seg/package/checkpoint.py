"""Reading of training checkpoints without executing code from the file."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import torch
from torch import Tensor

from seg.errors import ConfigError, PackageError

Weights = Literal["auto", "averaged", "raw"]
"""Choice of a checkpoint's weights; see `read_checkpoint`."""

_PREFIX = "model."
_OPTIONAL = ("f1_threshold", "area_threshold", "cut")
"""Calibration values that are None if they could not be determined."""
DATA_KEYS = ("CroplandDataModule", "UnlabelledDataModule", "CellDataModule")
"""Keys under which a checkpoint may hold the description of the training images: names of data modules."""

_MAPPINGS = {
    "state_dict",
    "hyper_parameters",
    *DATA_KEYS,
    "metrics",
    "calibration",
    "taught_by",
    "student_calibration",
}
"""Entries of a checkpoint that must be mappings."""
_STEPPED = "current_model_state"
"""Key of the last step's weights in checkpoints of Lightning's WeightAveraging. If a checkpoint has this key, its
`state_dict` holds the averaged weights."""


@dataclass(frozen=True)
class Checkpoint:
    """Content of a training checkpoint that a model package needs.

    Attributes:
        path: The file.
        weights: Parameters and buffers of the network by name.
        task: Arguments of the task, as plain values.
        data: Description of the training images that the datamodule stored, such as `band_names` and `pixel_size_m`.
        metrics: Scores of these weights by name; empty if these weights were not validated.
        calibration: Calibration of these weights, with the fields of `Calibration`; empty if these weights were not
            validated.
        taught_by: Kind, names and hashes of the teacher; empty if there was no teacher.
        note: Note about the choice between the weights of an averaged teacher and of its student; empty if there was no
            choice.
        epochs: Number of completed epochs.
        steps: Number of optimiser steps.
    """

    path: Path
    weights: Mapping[str, Tensor]
    task: Mapping[str, Any]
    data: Mapping[str, Any]
    metrics: Mapping[str, float]
    calibration: Mapping[str, Any] = field(default_factory=dict)
    taught_by: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    epochs: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        """Check the numbers of the calibration.

        Raises:
            PackageError: A value is not a finite number.
        """
        for name, value in self.calibration.items():
            left_out = value is None and name in _OPTIONAL
            if name != "note" and not left_out and not (isinstance(value, int | float) and math.isfinite(value)):
                shown = " ".join(repr(value).split())[:40]
                raise PackageError(
                    f"{self.path}: its calibration has {name} {shown}; wanted a finite number; "
                    "choose another checkpoint of the run"
                )

    def threshold(self, wanted: float | Literal["f1", "area"] | None = None) -> float:
        """Calibrated probability above which a pixel is cropland.

        Args:
            wanted: A number; "f1" for the threshold with the highest F1 in validation; "area" for the threshold at
                which the mapped area equals the cropland area in validation; or None for the threshold that the
                calibration chose. If there is no calibration, None gives the threshold of the task.

        Raises:
            ConfigError: The number is outside 0 to 1, or the checkpoint has no threshold of this name.
        """
        if wanted is None:
            return float(self.calibration.get("threshold", self.task["threshold"]))
        if isinstance(wanted, str):
            found = self.calibration.get(f"{wanted}_threshold")
            if found is None:
                raise ConfigError(f"{self.path}: has no threshold for {wanted} from validation; give a number instead")
            return float(found)
        if not 0 <= wanted <= 1:
            raise ConfigError(f"threshold is {wanted:g}; wanted a probability from 0 to 1, f1 or area")
        return wanted

    def calibration_scores(self) -> dict[str, float]:
        """Numbers of the calibration; their names have the prefix `calibration/`."""
        numbers = {name: value for name, value in self.calibration.items() if isinstance(value, int | float)}
        return {f"calibration/{name}": float(value) for name, value in numbers.items()}


_STUDENT = "val/student/"
"""Prefix of a student's scores if its averaged teacher was scored too. The teacher's scores have no prefix."""


def read_checkpoint(path: Path, weights: Weights = "auto") -> Checkpoint:
    """Read a checkpoint that training wrote.

    Only tensors and plain values are unpickled (`weights_only`); a file with other content is rejected.

    Args:
        path: The file.
        weights: "averaged" for averaged weights. "raw" for the weights of the last step; if averaged weights were
            validated instead, scores and calibration are left out. "auto" for the validated weights. If an averaged
            teacher and its student were both validated, "auto" takes the weights with the higher IoU, and the teacher's
            if the IoU is equal.

    Raises:
        PackageError: The file is missing, damaged, unsafe or not a checkpoint of this project; or averaged weights are
            requested, and the checkpoint has none.
    """
    content = load_checkpoint(path)
    data = next((content[name] for name in DATA_KEYS if name in content), None)
    missing = {"state_dict", "hyper_parameters"} - content.keys() | ({DATA_KEYS[0]} if data is None else set())
    if missing:
        raise PackageError(
            f"{path}: has no {', '.join(sorted(missing))}; wanted a checkpoint that scripts/train.py wrote"
        )
    for name in _MAPPINGS & content.keys():
        if not isinstance(content[name], dict):
            raise PackageError(
                f"{path}: its {name} is a {type(content[name]).__name__}; wanted values by name, as scripts/train.py "
                "writes them"
            )
    averaged = _STEPPED in content
    if weights == "averaged" and not averaged:
        raise PackageError(
            f"{path}: has no averaged weights, because its training did not average them; choose another checkpoint, "
            "or weights=raw"
        )
    raw, note = averaged and weights == "raw", ""
    scores = {False: (content.get("metrics", {}), content.get("calibration", {})), True: ({}, {})}
    if averaged and "student_calibration" in content:
        scores[True] = _of_student(content["metrics"]), content["student_calibration"]
        raw, note = _choice(scores[False][0], scores[True][0], weights)
    chosen = content[_STEPPED if raw else "state_dict"].items()
    metrics, calibration = scores[raw]
    return Checkpoint(
        path=path,
        weights={name.removeprefix(_PREFIX): value for name, value in chosen if name.startswith(_PREFIX)},
        task=content["hyper_parameters"],
        data=data or {},
        metrics=metrics,
        calibration=calibration,
        taught_by=content.get("taught_by", {}),
        note=note,
        epochs=_epochs(content),
        steps=_whole_number(content, "global_step"),
    )


def _of_student(metrics: Mapping[str, float]) -> dict[str, float]:
    """Scores of a student by name, without the prefix."""
    return {name.replace(_STUDENT, "val/"): score for name, score in metrics.items() if name.startswith(_STUDENT)}


def _choice(teacher: Mapping[str, float], student: Mapping[str, float], weights: Weights) -> tuple[bool, str]:
    """True to take the student's weights instead of the averaged teacher's, and a note with the reason."""
    ious = teacher.get("val/iou", 0.0), student.get("val/iou", 0.0)
    raw = weights == "raw" or (weights == "auto" and ious[1] > ious[0])
    taken, left = ("student", "averaged teacher") if raw else ("averaged teacher", "student")
    return raw, f"weights of the {taken}, IoU {ious[raw]:.4f} in validation; the {left} has {ious[not raw]:.4f}"


def _epochs(content: Mapping[str, Any]) -> int:
    loop = "loops", "fit_loop"
    completed = _whole_number(content, *loop, "epoch_progress", "current", "completed")
    # A checkpoint at the end of an epoch is written before Lightning counts the epoch.
    ends_epoch = _whole_number(content, *loop, "epoch_loop.batch_progress", "is_last_batch")
    return max(completed, _whole_number(content, "epoch", missing=-1) + ends_epoch)


def _whole_number(content: object, *keys: str, missing: int = 0) -> int:
    """Whole number under nested keys; `missing` if there is none, as in a damaged file or one of another program."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return int(content) if isinstance(content, int) else missing


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load the complete content of a checkpoint, as tensors and plain values.

    Raises:
        PackageError: The file is missing, damaged or unsafe, or holds a sparse tensor.
    """
    if not path.is_file():
        raise PackageError(f"{path}: no such file; training writes checkpoints into <run>/checkpoints/")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # The errors below explain more than PyTorch's warnings do.
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise PackageError(
            f"{path}: holds more than tensors and plain values, so it was not loaded (it could execute code); "
            "wanted a checkpoint that scripts/train.py wrote"
        ) from error
    except Exception as error:  # a damaged pickle can raise almost any exception
        raise PackageError(
            f"{path}: damaged, or not a checkpoint ({type(error).__name__}); wanted a file from scripts/train.py"
        ) from error
    if _holds_sparse(content):
        raise PackageError(f"{path}: holds a sparse tensor; wanted a checkpoint that scripts/train.py wrote")
    return content if isinstance(content, dict) else {}


def _holds_sparse(content: object) -> bool:
    """True if nested values hold a sparse tensor. A few bytes of a file can describe a sparse tensor of any size."""
    if isinstance(content, Tensor):
        return content.layout != torch.strided
    values = content.values() if isinstance(content, dict) else content if isinstance(content, list | tuple) else ()
    return any(map(_holds_sparse, values))
