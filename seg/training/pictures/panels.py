"""Pictures of predictions for some held-out scenes."""

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from seg.errors import ConfigError
from seg.training.pictures.figures import is_due, publish
from seg.training.pictures.scene_panel import ScenePanel, draw_scene_panel


@dataclass(frozen=True, kw_only=True)
class PanelConfig:
    """Pictures that a training writes to `<run>/panels/` and logs to TensorBoard and Weights & Biases.

    Args:
        scenes: Number of held-out scenes or chips that are drawn as image, reference, probability and errors. They are
            spread evenly over the sorted names and are the same in every epoch. 0 draws no scene.
        every_epochs: Epochs between two pictures. The last epoch always has pictures; 0 draws only the last epoch.
        longest_side: Longest side of a drawn scene in pixels; a larger scene is subsampled.
        curves: Draw precision-recall and reliability curves of the whole validation.

    Raises:
        ConfigError: A number is out of range.
    """

    scenes: int = 3
    every_epochs: int = 20
    longest_side: int = 512
    curves: bool = True

    def __post_init__(self) -> None:
        for name, number, least in (
            ("scenes", self.scenes, 0),
            ("every_epochs", self.every_epochs, 0),
            ("longest_side", self.longest_side, 16),
        ):
            if number < least:
                raise ConfigError(f"panels.{name} is {number}; wanted {least} or more")


class PredictionPanels(L.Callback):
    """Draw the predictions for some held-out scenes, the same scenes in every epoch.

    The drawn predictions come from the weights that validation scores, which may be averaged weights. The network
    predicts a drawn scene a second time.

    Args:
        config: Number, interval and size of the pictures.

    Example:
        Trainer(callbacks=[PredictionPanels(PanelConfig(scenes=2, every_epochs=5))])
    """

    def __init__(self, config: PanelConfig) -> None:
        self.config = config
        self._seen = 0
        self._chosen: list[int] = []
        self._band_names: list[str] = []

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Choose samples by their position in the validation, so that every epoch draws the same samples."""
        self._seen, self._chosen = 0, []
        if not (self.config.scenes and trainer.is_global_zero and is_due(trainer, self.config.every_epochs)):
            return
        samples = _sample_count(trainer)
        self._chosen = spread(samples, self.config.scenes)
        datamodule = getattr(trainer, "datamodule", None)
        self._band_names = list(datamodule.state_dict().get("band_names", [])) if datamodule else []

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the chosen samples of a batch."""
        for place in range(len(batch["image"])):
            if self._seen in self._chosen:
                self._draw(trainer, pl_module, batch, place)
            self._seen += 1

    def _draw(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: dict[str, Any], place: int) -> None:
        image = batch["image"][place : place + 1]
        with trainer.precision_plugin.forward_context():
            logits = pl_module(image)
        name = _name(batch.get("name", ""), place)
        smaller = thinned(max(image.shape[-2:]), self.config.longest_side)
        panel = ScenePanel(
            title=f"{name}, epoch {trainer.current_epoch + 1}",
            image=array_of(image[0, :, ::smaller, ::smaller].float()),
            mask=array_of(batch["mask"][place, ::smaller, ::smaller].to(torch.uint8)),
            probability=array_of(logits[0, 0, ::smaller, ::smaller].float().sigmoid()),
            threshold=float(pl_module.hparams.get("threshold", 0.5)),
            band_names=self._band_names,
        )
        number = self._chosen.index(self._seen) + 1
        publish(draw_scene_panel(panel), f"{number:02d}_{file_stem(name)}", trainer)


def spread(samples: int, wanted: int) -> list[int]:
    """Ascending indexes of at most `wanted` samples, spread evenly over all samples."""
    wanted = min(samples, wanted)
    return [place * samples // wanted for place in range(wanted)]


def thinned(side: int, longest: int) -> int:
    """Subsampling step that makes a side at most `longest` pixels."""
    return max(1, -(-side // longest))


def file_stem(name: str) -> str:
    """Name of a scene without its suffix and without characters that some file systems reject."""
    return re.sub(r"[^\w.-]+", "_", PurePath(name).stem) or "scene"


def _sample_count(trainer: L.Trainer) -> int:
    """Number of samples in this process's validation."""
    loaders = trainer.val_dataloaders
    loader: Any = loaders[0] if isinstance(loaders, list) else loaders
    order = getattr(loader.batch_sampler, "sampler", None)
    samples = len(loader.dataset if order is None else order)
    # limit_val_batches leaves out some of the samples.
    return max(1, samples * min(int(sum(trainer.num_val_batches)), len(loader)) // len(loader))


def _name(names: object, place: int) -> str:
    name = names[place] if isinstance(names, (list, tuple)) else names
    return str(name) or f"scene {place}"


def array_of(values: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[Any]]":
    """Values of a tensor as an array on the host."""
    array: np.ndarray[tuple[int, ...], np.dtype[Any]] = values.detach().cpu().numpy()
    return array
