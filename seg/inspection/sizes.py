"""File sizes of a network's weights and of a training checkpoint."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import lightning as L
import torch
from safetensors.torch import save
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seg.errors import PackageError
from seg.inspection.subject import Subject
from seg.labels import CROPLAND, OTHER
from seg.losses.config import LossConfig
from seg.package.checkpoint import load_checkpoint
from seg.training.tasks.cropland import CroplandTask


@dataclass(frozen=True)
class CheckpointSize:
    """Size of a training checkpoint and of its parts, in bytes.

    Attributes:
        total: The whole file.
        weights: Parameters and buffers of the network.
        optimizer: State of the optimiser.
        averaged: Second set of weights, if the training averages weights.
        rest: State of loops and callbacks, configuration, names.
    """

    total: int
    weights: int
    optimizer: int
    averaged: int
    rest: int


def weights_size(subject: Subject) -> int:
    """Size of the network's weights in a model package, in bytes."""
    return len(save({name: tensor.contiguous() for name, tensor in subject.model.state_dict().items()}))


def checkpoint_size(path: Path, subject: Subject) -> CheckpointSize:
    """Measure the parts of a training checkpoint.

    Args:
        path: The checkpoint.
        subject: Network of the checkpoint.

    Raises:
        PackageError: The file is missing, damaged or unsafe, or is not a checkpoint of this network.
    """
    content = load_checkpoint(path)
    if not isinstance(content.get("state_dict"), dict):
        raise PackageError(f"{path}: has no state_dict; wanted a checkpoint that scripts/train.py wrote")
    shapes = {f"model.{name}": tensor.shape for name, tensor in subject.model.state_dict().items()}
    found = {name: tensor.shape for name, tensor in content["state_dict"].items() if name in shapes}
    if found != shapes:
        raise PackageError(f"{path}: is not a checkpoint of the network of {subject.source}; give another one")
    parts = ("state_dict", "optimizer_states", "current_model_state")
    weights, optimizer, averaged = (_bytes(content.get(part)) for part in parts)
    total = path.stat().st_size
    return CheckpointSize(total, weights, optimizer, averaged, total - weights - optimizer - averaged)


def first_checkpoint_size(subject: Subject) -> CheckpointSize:
    """Measure the parts of a checkpoint that is written after one training step of this network."""
    task = CroplandTask(
        bands=subject.bands, model=subject.config, loss=LossConfig(boundary=float(subject.config.boundary))
    )
    task.fill_normalization([0.0] * subject.bands, [1.0] * subject.bands)
    side = 2 * subject.model.stride
    mask = torch.full((side, side), OTHER, dtype=torch.uint8)
    mask[: side // 2] = CROPLAND
    examples = [{"image": torch.randn(subject.bands, side, side), "mask": mask}]
    # PyTorch accepts a list as a dataset, but its type hints do not; Lightning would treat a list as several loaders.
    loader = DataLoader(cast("Dataset[dict[str, Tensor]]", examples), batch_size=1)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning warns if a training has one step
        trainer = L.Trainer(
            max_steps=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        trainer.fit(task, loader)
        path = Path(folder) / "first.ckpt"
        trainer.save_checkpoint(path)
        return checkpoint_size(path, subject)


def _bytes(content: object) -> int:
    """Size in bytes of all tensors in nested dicts and lists."""
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(content))


def _tensors(content: object) -> Iterator[Tensor]:
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, dict | list | tuple):
        for part in content.values() if isinstance(content, dict) else content:
            yield from _tensors(part)
