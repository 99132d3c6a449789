"""Read a training checkpoint without executing anything that may hide in it."""

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
"""Which of a checkpoint's weights: what was validated, the average over the last steps, or those of the last step."""

_PREFIX = "model."
_OPTIONAL = ("f1_threshold", "area_threshold")
"""Numbers of a calibration that are None where the validation gave none."""
_STEPPED = "current_model_state"
"""Where Lightning's WeightAveraging keeps the weights of the last step; their average is the state_dict then."""


@dataclass(frozen=True)
class Checkpoint:
    """What a training checkpoint holds that outlives the training.

    Attributes:
        path: The file.
        weights: The network's parameters and buffers by name.
        task: The task's arguments, as plain values.
        data: What the datamodule says of its images: `band_names`, `pixel_size_m`.
        metrics: Scores of these weights when it was written, by name; empty where they were not validated.
        calibration: What their validation said of these weights' probabilities, as `Calibration` has it; empty where
            they were not validated.
    """

    path: Path
    weights: Mapping[str, Tensor]
    task: Mapping[str, Any]
    data: Mapping[str, Any]
    metrics: Mapping[str, float]
    calibration: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the numbers that decide what a map shows.

        Raises:
            PackageError: One of the calibration is none.
        """
        for name, value in self.calibration.items():
            left_out = value is None and name in _OPTIONAL
            if name != "note" and not left_out and not (isinstance(value, int | float) and math.isfinite(value)):
                shown = " ".join(repr(value).split())[:40]
                raise PackageError(
                    f"{self.path}: its calibration has {name} {shown}; wanted a finite number; "
                    "take another checkpoint of the run"
                )

    def threshold(self, wanted: float | Literal["f1", "area"] | None = None) -> float:
        """The calibrated probability above which a pixel is cropland.

        Args:
            wanted: A number, or the threshold with the highest F1, or with as much mapped as is cropland, in the
                validation; None for what the training's calibration chose, or else the one it was scored with.

        Raises:
            ConfigError: It is no probability, or the validation gave none of that name.
        """
        if wanted is None:
            return float(self.calibration.get("threshold", self.task["threshold"]))
        if isinstance(wanted, str):
            found = self.calibration.get(f"{wanted}_threshold")
            if found is None:
                raise ConfigError(f"{self.path}: no validation chose a threshold for {wanted}; give a number instead")
            return float(found)
        if not 0 <= wanted <= 1:
            raise ConfigError(f"threshold is {wanted:g}; wanted a probability from 0 to 1, f1 or area")
        return wanted

    def calibration_scores(self) -> dict[str, float]:
        """The figures of the calibration, by names that begin with `calibration/`."""
        numbers = {name: value for name, value in self.calibration.items() if isinstance(value, int | float)}
        return {f"calibration/{name}": float(value) for name, value in numbers.items()}


def read_checkpoint(path: Path, weights: Weights = "auto") -> Checkpoint:
    """The contents of a checkpoint that training wrote.

    Only tensors and plain values are unpickled (`weights_only`): a file with anything else is refused.

    Args:
        path: The file.
        weights: "averaged" wants those of a callback that averages them; "raw" those that the optimiser stepped to,
            without the scores and the calibration of the averaged ones; "auto" whatever was validated: the averaged
            ones where there are any.

    Raises:
        PackageError: The file is missing, damaged, unsafe, or not a checkpoint of this project; or it has no averaged
            weights, but was asked for them.
    """
    content = load_checkpoint(path)
    missing = {"state_dict", "hyper_parameters", "CroplandDataModule"} - content.keys()
    if missing:
        raise PackageError(
            f"{path}: has no {', '.join(sorted(missing))}; wanted a checkpoint that scripts/train.py wrote"
        )
    averaged = _STEPPED in content
    if weights == "averaged" and not averaged:
        raise PackageError(
            f"{path}: has no averaged weights, since no callback of its training averaged them; wanted such a "
            "checkpoint, or weights=raw"
        )
    other = averaged and weights == "raw"
    chosen = content[_STEPPED if other else "state_dict"].items()
    return Checkpoint(
        path=path,
        weights={name.removeprefix(_PREFIX): value for name, value in chosen if name.startswith(_PREFIX)},
        task=content["hyper_parameters"],
        data=content["CroplandDataModule"],
        metrics={} if other else content.get("metrics", {}),
        calibration={} if other else content.get("calibration", {}),
    )


def load_checkpoint(path: Path) -> dict[str, Any]:
    """All that a checkpoint holds, as tensors and plain values.

    Raises:
        PackageError: The file is missing, damaged or unsafe.
    """
    if not path.is_file():
        raise PackageError(f"{path}: no such file; training writes checkpoints into <run>/checkpoints/")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file without a zip; what is wrong with it is said below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise PackageError(
            f"{path}: holds more than tensors and plain values, so it was not loaded (it could execute code); "
            "wanted a checkpoint that scripts/train.py wrote"
        ) from error
    except Exception as error:  # a damaged pickle can fail in any way, with KeyError or struct.error too
        raise PackageError(
            f"{path}: damaged or no checkpoint ({type(error).__name__}); wanted one that scripts/train.py wrote"
        ) from error
    return content if isinstance(content, dict) else {}
