"""Short trainings: a quiet trainer, and a configuration for the command line."""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import yaml

from support.networks import TINY


def quiet_trainer(callbacks: Sequence[L.Callback] = (), **options: object) -> L.Trainer:
    """Trainer that prints and writes nothing, with four epochs by default."""
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    settings = {"accelerator": "cpu", "num_sanity_val_steps": 0, "max_epochs": 4, **quiet, **options}
    return L.Trainer(callbacks=list(callbacks), **settings)


class BatchLog(L.Callback):
    """Write the names and a checksum of each training batch to the file `path.RANK`; padding has no name.

    Args:
        path: Path of the files without the rank of the process.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: dict[str, Any], batch_idx: int
    ) -> None:
        """Append a line for the batch."""
        content = batch["image"].numpy().tobytes() + batch["mask"].numpy().tobytes()
        with Path(f"{self.path}.{trainer.global_rank}").open("a") as file:
            file.write(f"{','.join(batch['name'])} {zlib.crc32(content)}\n")


def write_config(folder: Path, make_dataset: Callable[..., Path], pictures: bool = False) -> Path:
    """Write a configuration of a training: a tiny network and dataset, two epochs, and the run's folder `folder/run`.

    Args:
        folder: Folder for the dataset, `config.yaml` and the run.
        make_dataset: The fixture of this name.
        pictures: Draw panels and curves, as training does by default. Drawing takes a third of the time.
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
