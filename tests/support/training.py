"""Trainings of a second: a quiet trainer, and a configuration for the command line."""

from collections.abc import Callable, Sequence
from pathlib import Path

import lightning as L
import yaml

from support.networks import TINY


def quiet_trainer(callbacks: Sequence[L.Callback] = (), **options: object) -> L.Trainer:
    """A trainer that prints and writes nothing, for four epochs unless the options say otherwise."""
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    settings = {"accelerator": "cpu", "num_sanity_val_steps": 0, "max_epochs": 4, **quiet, **options}
    return L.Trainer(callbacks=list(callbacks), **settings)


def write_config(folder: Path, make_dataset: Callable[..., Path], pictures: bool = False) -> Path:
    """Write a configuration that trains a tiny network on a tiny dataset for two epochs into `folder/run`.

    Args:
        folder: Gets the dataset, `config.yaml` and, when it is trained, the run.
        make_dataset: The fixture.
        pictures: Draw panels and curves, for files and for TensorBoard, as trainings do by default; a third of the time
            of such a training.
    """
    content = {
        "data": {"root": str(make_dataset(folder / "data"))},
        "model": {"model": TINY},
        "trainer": {"default_root_dir": str(folder / "run"), "max_epochs": 2, "accelerator": "cpu"},
    }
    if not pictures:
        content |= {"panels": {"scenes": 0, "curves": False}, "tracking": {"tensorboard": False}}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path
