"""The configuration of a training that takes a second."""

from collections.abc import Callable
from pathlib import Path

import yaml

TINY = {
    "encoder": "tu-test_resnet",
    "output_stride": 8,
    "pyramid_rates": [1],
    "pyramid_channels": 8,
    "decoder_channels": [8, 8, 8],
}


def write_config(folder: Path, make_dataset: Callable[..., Path]) -> Path:
    """A configuration that trains a tiny network on a tiny dataset for two epochs into `folder/run`."""
    content = {
        "data": {"root": str(make_dataset(folder / "data"))},
        "model": {"model": TINY},
        "trainer": {"default_root_dir": str(folder / "run"), "max_epochs": 2, "accelerator": "cpu"},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path
