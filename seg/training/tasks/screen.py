"""Screening task: a small network that finds cells of a scene without cropland, at a stated risk."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from seg.calibration.risk_control import Cells, Control, controlled_cut
from seg.data.datamodule import CroplandDataModule
from seg.errors import ConfigError
from seg.inference.screening.applying import closed
from seg.inference.screening.features import FEATURES, PIXEL
from seg.labels import IGNORE
from seg.models.segmenter import BandNormalization, Segmenter
from seg.package.screener import SCREEN
from seg.training.accumulation import Accumulation
from seg.training.cell_data import CROPPED, KNOWN, LABELLED, UNLIKE
from seg.training.optimizer import OptimizerConfig
from seg.training.schedule import ScheduleConfig
from seg.training.tasks.base import ScheduledTask


@dataclass(frozen=True, kw_only=True)
class PerceptronConfig:
    """Multilayer perceptron of a screener.

    Args:
        hidden: Number of units in each hidden layer.

    Raises:
        ConfigError: A layer has no unit.
    """

    hidden: tuple[int, ...] = (32, 32)

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not all(units >= 1 for units in self.hidden):
            raise ConfigError(f"model.model.hidden is {list(self.hidden)}; wanted 1 or more units in each layer")


class ScreenTask(ScheduledTask):
    """Perceptron that predicts the share of cropland in a cell from the cell's features.

    After each validation, conformal risk control chooses the cut: cells with a score up to the cut are screened. The
    expected share of the cropland that lies in screened cells is at most alpha. The held-out scenes must choose nothing
    else, so the last checkpoint counts, not the one with the lowest loss.

    Args:
        bands: Number of features. On the command line, this number is taken from the data.
        model: Size of the perceptron.
        alpha: Largest expected share of the cropland that lies in screened cells, above 0 and below 1.
        optimizer: Optimiser and its settings.
        schedule: Learning rate over the run.
        accumulation: Weights of accumulated batches, as for the task cropland; labelled cells count.

    Attributes:
        initial: None, since a screener has no initial weights.

    Raises:
        ConfigError: A number is out of range.
    """

    def __init__(
        self,
        *,
        bands: int = FEATURES,
        model: PerceptronConfig = PerceptronConfig(),
        alpha: float = 0.001,
        optimizer: OptimizerConfig = OptimizerConfig(),
        schedule: ScheduleConfig = ScheduleConfig(),
        accumulation: Accumulation = "area",
    ) -> None:
        if not 0 < alpha < 1:
            raise ConfigError(f"model.alpha is {alpha:g}; wanted above 0 and below 1")
        network = Segmenter(BandNormalization(bands), perceptron(bands, model.hidden), stride=1)
        super().__init__(network, optimizer, schedule, accumulation)
        self.save_hyperparameters(
            {
                "task": SCREEN,
                "bands": bands,
                "model": asdict(model) | {"hidden": list(model.hidden)},
                "alpha": alpha,
                "optimizer": asdict(optimizer),
                "schedule": schedule.arguments(),
                "accumulation": accumulation,
            }
        )
        self.initial = None
        self._held_out: list[tuple[np.ndarray, np.ndarray]] = []
        # Optimiser step of the last validation, and its result.
        self._control: tuple[int, dict[str, float | None]] = (-1, {})

    @property
    def normalises_scenes(self) -> bool:
        """False: features are computed from the stored values of each scene."""
        return False

    def check_data(self, data: CroplandDataModule) -> None:
        """Accept all data: cells of a dataset's scenes fit."""

    def on_fit_start(self) -> None:
        """Check that one process trains, since the cut is chosen from all held-out scenes.

        Raises:
            ConfigError: The trainer has several processes, or the feature statistics are missing.
        """
        super().on_fit_start()
        if self.trainer.world_size > 1:
            raise ConfigError(
                f"trainer.devices gives {self.trainer.world_size} processes; wanted 1, since all held-out scenes "
                "determine the cut of the task screen"
            )

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Compute the loss of a batch, weighted if a step has several batches."""
        return self.weighted(self._shared_step(batch, "train")[1], batch["mask"], batch_idx)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Log the loss of held-out scenes, and keep the scores and the cropland of their cells."""
        logits, _ = self._shared_step(batch, "val")
        for layers, scene in zip(batch["image"].cpu().numpy(), logits.double().cpu().numpy(), strict=True):
            scores = np.where(layers[UNLIKE] > 0, np.inf, scene)
            scores = closed(np.where(layers[KNOWN] > 0, scores, -np.inf))
            counts = layers[LABELLED] > 0
            self._held_out.append((scores[counts], layers[CROPPED][counts]))

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Log the loss of held-out scenes."""
        self._shared_step(batch, "test")

    def on_validation_epoch_end(self) -> None:
        """Choose the cut, and log the share of screened cells and of cropland in these cells."""
        held_out, self._held_out = self._held_out, []
        found = control_of(held_out, self.hparams["alpha"])
        self.log_dict({"val/screened": found.screened, "val/lost": found.lost})
        if not self.trainer.sanity_checking:
            # A package needs finite numbers, so None stands for the cut that screens no cell.
            cut = found.cut if np.isfinite(found.cut) else None
            self._control = self.trainer.global_step, asdict(found) | {"cut": cut, "scenes": len(held_out)}

    def on_save_checkpoint(self, checkpoint: dict[str, object]) -> None:
        """Store the scores and, if the weights have not changed since the last validation, the cut."""
        step, found = self._control
        validated = step == self.trainer.global_step
        scores = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        checkpoint["metrics"] = {name: score for name, score in scores.items() if validated or name[:4] != "val/"}
        if validated:
            checkpoint["calibration"] = found

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the cut."""
        super().on_load_checkpoint(checkpoint)
        if "calibration" in checkpoint:
            self._control = checkpoint["global_step"], checkpoint["calibration"]

    def _shared_step(self, batch: dict[str, Any], stage: str) -> tuple[Tensor, Tensor]:
        """(B, rows, columns) logits, and the cross-entropy with the share of cropland over all labelled cells."""
        layers, labelled = batch["image"], batch["mask"] != IGNORE
        logits: Tensor = self.model(layers[:, :FEATURES])[:, 0]
        shares = layers[:, CROPPED] / layers[:, LABELLED].clamp(min=1)
        losses = F.binary_cross_entropy_with_logits(logits.float(), shares, reduction="none")
        loss = (losses * labelled).sum() / labelled.sum().clamp(min=1)
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(layers))
        return logits, loss


def perceptron(inputs: int, hidden: Sequence[int]) -> nn.Sequential:
    """Multilayer perceptron with one output, which maps each cell of (B, inputs, H, W) features alone."""
    sizes = [inputs, *hidden, 1]
    layers: list[nn.Module] = []
    for size, following in pairwise(sizes):
        layers += [nn.Conv2d(size, following, kernel_size=1), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def control_of(held_out: Sequence[tuple[np.ndarray, np.ndarray]], alpha: float) -> Control:
    """Cut of a screener.

    Args:
        held_out: Scores and pixels of cropland of the labelled cells of each held-out scene.
        alpha: Largest expected share of the cropland that lies in screened cells.
    """
    scene = np.repeat(np.arange(len(held_out)), [len(scores) for scores, _ in held_out])
    scores, cropland = (np.concatenate(parts) for parts in zip(*held_out, strict=True))
    return controlled_cut(Cells(scores, cropland.astype(np.float64), scene), alpha, PIXEL**2)
