"""Read a training checkpoint without executing anything that may hide in it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from seg.errors import PackageError

_PREFIX = "model."


@dataclass(frozen=True)
class Checkpoint:
    """What a training checkpoint holds that outlives the training.

    Attributes:
        path: The file.
        weights: The network's parameters and buffers by name.
        task: The task's arguments, as plain values.
        data: What the datamodule says of its images: `band_names`, `pixel_size_m`.
        metrics: Scores when it was written, by name.
    """

    path: Path
    weights: Mapping[str, Tensor]
    task: Mapping[str, Any]
    data: Mapping[str, Any]
    metrics: Mapping[str, float]


def read_checkpoint(path: Path) -> Checkpoint:
    """The contents of a checkpoint that training wrote.

    Only tensors and plain values are unpickled (`weights_only`): a file with anything else is refused.

    Raises:
        PackageError: The file is missing, damaged, unsafe, or not a checkpoint of this project.
    """
    content = load_checkpoint(path)
    missing = {"state_dict", "hyper_parameters", "CroplandDataModule"} - content.keys()
    if missing:
        raise PackageError(
            f"{path}: has no {', '.join(sorted(missing))}; wanted a checkpoint that scripts/train.py wrote"
        )
    weights = content["state_dict"].items()
    return Checkpoint(
        path=path,
        weights={name.removeprefix(_PREFIX): value for name, value in weights if name.startswith(_PREFIX)},
        task=content["hyper_parameters"],
        data=content["CroplandDataModule"],
        metrics=content.get("metrics", {}),
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
