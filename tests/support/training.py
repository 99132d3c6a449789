"""Trainings of a second: a tiny network, a quiet trainer and a configuration for the command line."""

from collections.abc import Callable, Sequence
from pathlib import Path

import lightning as L
import yaml

from seg.models.config import ModelConfig

TINY = {
    "encoder": "dilated_tiny",
    "output_stride": 2,
    "pyramid_rates": [1],
    "pyramid_channels": 8,
    "decoder_channels": [8],
}
"""The network that takes the least time to build and to train, as a configuration names it."""
TINY_NETWORK = ModelConfig(**TINY, dropout=0.0)
"""The same without dropout."""
STAGED_NETWORK = ModelConfig(
    encoder="tu-test_resnet",
    output_stride=8,
    pyramid_rates=(1,),
    pyramid_channels=8,
    decoder_channels=(8, 8, 8),
    dropout=0.0,
)
"""A network of timm whose backbone has five stages."""


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
