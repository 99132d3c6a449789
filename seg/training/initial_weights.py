"""Initial weights of a network from a checkpoint or model package; only tensors that fit are copied."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seg.errors import ConfigError, PackageError
from seg.models.segmenter import Segmenter
from seg.package.checkpoint import read_checkpoint
from seg.package.read import read_package, weights_file

OPTION = "model.initial_weights"
STATISTICS = "normalization."
"""Prefix of the band statistics' names. These tensors are never copied, since they must describe the training
images."""

HEAD = "network.head."
PRETEXT = "pretext"
"""Name of the task that trains all layers but the head."""

LEAST_SHARE = 0.5
"""Smallest share of the network's values that must come from the file. Even a network of another architecture has some
tensors of the same name and shape."""


@dataclass(frozen=True)
class InitialWeights:
    """Names of the tensors that were copied from a file into a network, and of the tensors that were not.

    Attributes:
        path: The file or package.
        taken: Names of the tensors that were copied.
        left: Names of the tensors that were not copied, each with the reason.
    """

    path: Path
    taken: tuple[str, ...]
    left: Mapping[str, str]

    def __str__(self) -> str:
        total = len(self.taken) + len(self.left)
        if not self.left:
            return f"initial weights: all {total} tensors of {self.path}"
        groups: dict[str, list[str]] = {}
        for name, reason in self.left.items():
            groups.setdefault(reason, []).append(name)
        told = "; ".join(
            f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}"
            for reason, names in groups.items()
        )
        return f"initial weights: {len(self.taken)} of {total} tensors of {self.path}; not copied: {told}"


def take_weights(model: Segmenter, path: Path) -> InitialWeights:
    """Copy each weight and buffer of a file into a network if the network has one of the same name and shape.

    Args:
        model: The network; its band statistics are kept.
        path: A checkpoint, or the folder of a model package. If a checkpoint holds averaged weights, they are used.

    Raises:
        PackageError: The file is missing, damaged or unsafe, or another program wrote it.
        ConfigError: Less than half of the network's values have a fitting tensor in the file.
    """
    found, arguments, untrained = _stored(path)
    wanted = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(STATISTICS)}
    left = {name: reason for name, tensor in wanted.items() if (reason := _misfit(found.get(name), tensor))}
    left |= {name: "not trained in a pretext" for name in wanted if untrained and name.startswith(HEAD)}
    taken = {name: found[name] for name in wanted if name not in left}
    size = sum(tensor.numel() for tensor in wanted.values())
    share = sum(tensor.numel() for tensor in taken.values()) / max(size, 1)
    if share < LEAST_SHARE:
        raise ConfigError(
            f"{OPTION} is {path}, which fits {share:.0%} of this network's values (the file's network is "
            f"{_named(arguments)}); set the options of model.model to those of the file, or leave {OPTION} out"
        )
    model.load_state_dict(taken, strict=False)
    return InitialWeights(path, tuple(taken), left)


def _stored(path: Path) -> tuple[Mapping[str, Tensor], Mapping[str, Any], bool]:
    """Weights of a file by name, the arguments of their network, and True if its head is not trained."""
    if not path.is_dir():
        checkpoint = read_checkpoint(path)
        return checkpoint.weights, checkpoint.task.get("model", {}), checkpoint.task.get("task") == PRETEXT
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    package = read_package(path)
    try:
        return load_file(weights_file(path, package)), package.architecture["arguments"], False
    except SafetensorError as error:
        raise PackageError(f"{path}: its weights are damaged ({error}); export the model again") from error


def _misfit(found: Tensor | None, wanted: Tensor) -> str:
    """Reason why a tensor cannot be copied; empty if it fits."""
    if found is None:
        return "not in the file"
    if found.shape != wanted.shape:
        return f"shape {list(found.shape)}, wanted {list(wanted.shape)}"
    if found.is_floating_point() and not bool(torch.isfinite(found).all()):
        return "holds NaN or infinity"
    return ""


def _named(arguments: Mapping[str, Any]) -> str:
    """Architecture and encoder in words."""
    return f"{arguments.get('architecture', 'unknown')} with encoder {arguments.get('encoder', 'unknown')}"
