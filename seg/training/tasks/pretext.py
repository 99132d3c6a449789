"""Pretext task: before a network learns from labels, it fills in hidden parts of unlabelled images."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.labels import IGNORE
from seg.models.config import ModelConfig
from seg.models.segmenter import DilatedNetwork
from seg.training.accumulation import Accumulation
from seg.training.optimizer import OptimizerConfig
from seg.training.schedule import ScheduleConfig
from seg.training.tasks.cropland import CroplandTask, counted

FILLER = "filler"
"""Layer of the model that maps the decoder's last features to bands."""

LEFT_OUT = ("loss", "threshold", "calibration")
"""Arguments of the labelled task that this task does not have."""


@dataclass(frozen=True, kw_only=True)
class HidingConfig:
    """Parts of an image that are hidden.

    Args:
        share: Share of the blocks of an image that are hidden in all bands, above 0 and below 1.
        smallest: Smallest side of a block in pixels; the side is drawn at random for each image.
        largest: Largest side of a block in pixels.
        band: Probability that one band of an image is hidden as a whole. The band of a single-band image is never
            hidden as a whole.

    Raises:
        ConfigError: A number is out of range.
    """

    share: float = 0.6
    smallest: int = 16
    largest: int = 32
    band: float = 0.2

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 < self.share < 1:
            raise ConfigError(f"model.hiding.share is {self.share:g}; wanted above 0 and below 1")
        if not 1 <= self.smallest <= self.largest:
            raise ConfigError(
                f"model.hiding.smallest is {self.smallest} and largest {self.largest}; wanted 1 or more for "
                "smallest, and largest not below smallest"
            )
        if not 0 <= self.band <= 1:
            raise ConfigError(f"model.hiding.band is {self.band:g}; wanted a probability, 0 to 1")


@dataclass(frozen=True)
class Filled:
    """An image of the last batch, for pictures.

    Attributes:
        name: Name of the sample.
        image: (C, H, W) in stored units.
        hidden: (C, H, W) True where the network saw the band's mean.
        found: (C, H, W) values of the network, in stored units.
    """

    name: str
    image: Tensor
    hidden: Tensor
    found: Tensor


class PretextTask(CroplandTask):
    """Network that fills in hidden blocks and bands of images. It needs no labels; all layers except the head learn.

    The loss is the smooth L1 distance in normalised units, over the hidden pixels that hold data. Blocks are hidden in
    the skip connections too; otherwise the network would copy the surroundings at full resolution. Reconstruction
    through the whole network follows Tian et al. (2023), https://doi.org/10.48550/arXiv.2301.03580.

    Args:
        bands: Channels of the images. On the command line, this number is taken from the data.
        model: Architecture of the network.
        optimizer: Optimiser and its settings.
        schedule: Learning rate over the run.
        accumulation: Weights of accumulated batches, as for the task cropland; pixels with data count as labelled
            pixels.
        hiding: Parts of an image that are hidden.
        initial_weights: Checkpoint or model package. Before training, weights that fit the network are copied from this
            file.

    Attributes:
        shown: An image of the last training batch; None before the first batch.

    Raises:
        ConfigError: An argument is out of range, or the architecture is not `dilated`.
    """

    def __init__(
        self,
        *,
        bands: int,
        model: ModelConfig = ModelConfig(),
        optimizer: OptimizerConfig = OptimizerConfig(),
        schedule: ScheduleConfig = ScheduleConfig(),
        accumulation: Accumulation = "area",
        hiding: HidingConfig = HidingConfig(),
        initial_weights: Path | None = None,
    ) -> None:
        super().__init__(
            bands=bands,
            model=model,
            optimizer=optimizer,
            schedule=schedule,
            accumulation=accumulation,
            initial_weights=initial_weights,
        )
        for name in LEFT_OUT:
            self.hparams.pop(name)
        self.save_hyperparameters({"task": "pretext", "hiding": asdict(hiding)})
        network = self.model.network
        if not isinstance(network, DilatedNetwork) or not isinstance(network.head, nn.Conv2d):
            raise ConfigError(f"model.model.architecture is {model.architecture}; wanted dilated for the task pretext")
        network.head.requires_grad_(False)
        # The optimiser takes the parameters of the model, so the layer is added to it.
        self.model.add_module(FILLER, nn.Conv2d(network.head.in_channels, bands, kernel_size=1))
        self.hiding = hiding
        self.shown: Filled | None = None

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Loss of a batch, weighted if a step has several batches."""
        image, names = batch["image"], batch["name"]
        # Before each batch, PyTorch's generator is seeded from the run's seed, the epoch and the batch.
        hidden = self._hidden(image, torch.randint(2**31, (len(image),)).tolist())
        found, loss = self.filled(image, hidden, batch["mask"] != IGNORE)
        self._log_loss("train", loss, counted(batch))
        self.shown = Filled(names[0], image[0].detach(), hidden[0], found[0].detach())
        return self.weighted(loss, batch["mask"], batch_idx)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Log the loss of a held-out batch."""
        self._score(batch, "val", batch_idx)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Log the loss of a test batch."""
        self._score(batch, "test", batch_idx)

    def on_validation_epoch_end(self) -> None:
        """Do nothing: there is no probability to calibrate."""

    def on_test_epoch_end(self) -> None:
        """Do nothing: there is no probability to calibrate."""

    def _score(self, batch: dict[str, Any], stage: str, batch_idx: int) -> None:
        """Log the loss of a held-out batch; in each epoch, the same parts are hidden."""
        image = batch["image"]
        hidden = self._hidden(image, [1000 * batch_idx + place for place in range(len(image))])
        _, loss = self.filled(image, hidden, batch["mask"] != IGNORE)
        self._log_loss(stage, loss, counted(batch))

    def _log_loss(self, stage: str, loss: Tensor, count: int) -> None:
        count *= self.trainer.world_size  # as in the labelled task
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=count, sync_dist=True)

    def _hidden(self, image: Tensor, seeds: Sequence[int]) -> Tensor:
        """(B, C, H, W) True where samples are hidden; one seed for each sample."""
        parts = [hidden_parts(image.shape[1:], self.hiding, seed) for seed in seeds]
        return torch.stack(parts).to(image.device)

    def filled(self, image: Tensor, hidden: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Fill in the hidden parts of images.

        Args:
            image: (B, C, H, W) in stored units.
            hidden: (B, C, H, W) True where the network gets the band's mean.
            valid: (B, H, W) True for pixels with data.

        Returns:
            (B, C, H, W) image as the network fills it in, in stored units; and the loss over hidden pixels with data.
        """
        norm = self.model.normalization
        mean, std = norm.mean[:, None, None], norm.std[:, None, None]
        network = self.model.get_submodule("network")
        seen = torch.where(hidden, mean, image)
        blocks = hidden.all(dim=1)
        with hidden_skips(network.get_submodule("backbone"), blocks), _inputs_of(network.get_submodule("head")) as last:
            self.model(seen)
        filler = self.model.get_submodule(FILLER)
        found: Tensor = filler(last[0])[..., : image.shape[-2], : image.shape[-1]]
        wanted, counts = (image - mean) / std, hidden & valid[:, None]
        distance = F.smooth_l1_loss(found.float(), wanted, reduction="none")
        loss = (distance * counts).sum() / counts.sum().clamp(min=1)
        return found.float() * std + mean, loss


def hidden_parts(shape: Sequence[int], config: HidingConfig, seed: int) -> Tensor:
    """Choose blocks that are hidden in all bands and, in some images, one band that is hidden as a whole.

    Args:
        shape: Bands, height and width of the image.
        config: Share and sizes.
        seed: The same seed hides the same parts.

    Returns:
        (C, H, W) bool.
    """
    bands, height, width = shape
    random = torch.Generator().manual_seed(seed)
    side = int(torch.randint(config.smallest, config.largest + 1, (1,), generator=random))
    rows, columns = (-(-length // side) + 1 for length in (height, width))
    order = torch.randperm(rows * columns, generator=random)
    blocks = (order < round(config.share * rows * columns)).reshape(rows, columns)
    top, left = torch.randint(0, side, (2,), generator=random).tolist()
    hidden = blocks.repeat_interleave(side, 0).repeat_interleave(side, 1)
    hidden = hidden[top : top + height, left : left + width].expand(bands, -1, -1).clone()
    if bands > 1 and float(torch.rand(1, generator=random)) < config.band:
        hidden[int(torch.randint(0, bands, (1,), generator=random))] = True
    return hidden


@contextmanager
def hidden_skips(backbone: nn.Module, hidden: Tensor) -> Iterator[None]:
    """Set cells of the skip connections to 0 if one of their pixels is hidden; the deepest features do not change.

    Args:
        backbone: Backbone of the dilated network. The caller hides the image itself, which is the last skip connection.
        hidden: (B, H, W) True for hidden pixels.
    """

    def keep_seen(
        module: nn.Module, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, list[Tensor]]
    ) -> tuple[Tensor, list[Tensor]]:
        height, width = inputs[0].shape[-2:]
        padded = F.pad(hidden.float(), (0, width - hidden.shape[-1], 0, height - hidden.shape[-2]))[:, None]
        deepest, finer = outputs
        return deepest, [level * (1 - F.adaptive_max_pool2d(padded, list(level.shape[-2:]))) for level in finer]

    handle = backbone.register_forward_hook(keep_seen)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _inputs_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the first input of each call of a module."""
    found: list[Tensor] = []

    def collect(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.append(inputs[0])

    handle = module.register_forward_pre_hook(collect)
    try:
        yield found
    finally:
        handle.remove()
