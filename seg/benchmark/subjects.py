"""Networks and synthetic scenes that benchmarks measure."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from seg.data.dataset.catalogue import Scene
from seg.errors import ConfigError
from seg.models.config import ModelConfig
from seg.raster.windows import window_grid

BANDS = 4
_TILE = 256
_WRITTEN_AT_ONCE = 1024


def write_scene(image: Path, mask: Path, side: int) -> Scene:
    """Write a square scene: 4 bands of uint16 and a mask, tiled, deflated to about two thirds of its size.

    Args:
        image: Image file to write.
        mask: Mask file to write.
        side: Side in pixels.
    """
    random = np.random.default_rng(0)
    shape = {"driver": "GTiff", "height": side, "width": side, "tiled": True, "blockxsize": _TILE, "blockysize": _TILE}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    with (
        rasterio.open(image, "w", count=BANDS, dtype="uint16", compress="deflate", **shape, **place) as pixels,
        rasterio.open(mask, "w", count=1, dtype="uint8", compress="deflate", **shape, **place) as labelled,
    ):
        for window in window_grid(side, side, _WRITTEN_AT_ONCE, _WRITTEN_AT_ONCE):
            found, labels = synthetic_pixels(random, (window.height, window.width))
            pixels.write(found, window=window)
            labelled.write(labels, 1, window=window)
    return Scene(image, mask, 0)


def synthetic_pixels(
    random: np.random.Generator, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """(4, H, W) noisy pixels of fields in a checkerboard, and their (H, W) labels; a field has a side of 32 pixels.

    Args:
        random: Generator of the noise.
        shape: Height and width.
    """
    rows, columns = np.indices(shape) // 32
    labels = (rows + columns) % 2
    noise = random.normal(0, 100, (BANDS, *shape))
    return (2000 + 500 * labels + noise).astype(np.uint16), labels.astype(np.uint8)


RESNET18_16 = ModelConfig(
    encoder="resnet18",
    output_stride=16,
    pyramid_channels=128,
    pyramid_rates=(1, 2, 4),
    decoder_channels=(96, 64, 32, 16),
)

FAMILY = {
    "dilated_tiny_4": ModelConfig(  # The network of the demo.
        encoder="dilated_tiny", output_stride=4, pyramid_channels=48, decoder_channels=(32, 32)
    ),
    "dilated_tiny_8": ModelConfig(encoder="dilated_tiny", pyramid_rates=(1, 2, 4)),
    "dilated_small_8": ModelConfig(),
    "dilated_base_4": ModelConfig(
        encoder="dilated_base", output_stride=4, pyramid_channels=64, decoder_channels=(48, 32)
    ),
    "dilated_base_8": ModelConfig(encoder="dilated_base", pyramid_rates=(1, 2, 4)),
    "resnet18_8": replace(RESNET18_16, output_stride=8, decoder_channels=(96, 48, 16)),
    "resnet18_16": RESNET18_16,
    "resnet18_16_separable": replace(RESNET18_16, convolution="separable"),
    "resnet18_16_grouped": replace(RESNET18_16, convolution="grouped"),
    "unet_resnet18": ModelConfig(architecture="unet", encoder="resnet18"),
    "deeplabv3plus_resnet18": ModelConfig(architecture="deeplabv3plus", encoder="resnet18", output_stride=16),
    "fpn_resnet18": ModelConfig(architecture="fpn", encoder="resnet18"),
    "upernet_resnet18": ModelConfig(architecture="upernet", encoder="resnet18"),
    "segformer_mit_b0": ModelConfig(architecture="segformer", encoder="mit_b0"),
}
"""Configurations by name; the number after the encoder of a dilated network is its output stride."""


def choose_models(names: Sequence[str] | str | None) -> dict[str, ModelConfig]:
    """Select models of the family.

    Args:
        names: Names as a list or separated by commas; None for all.

    Raises:
        ConfigError: A name is unknown, or the list is empty.
    """
    if names is None:
        return dict(FAMILY)
    # The command line does not split a value at commas unless it has brackets.
    chosen = [name.strip() for word in ([names] if isinstance(names, str) else names) for name in word.split(",")]
    unknown = [name for name in chosen if name not in FAMILY]
    if unknown or not chosen:
        found = f"has '{unknown[0]}'" if unknown else "is empty"
        raise ConfigError(f"--models {found}; wanted some of {', '.join(FAMILY)}")
    return {name: FAMILY[name] for name in chosen}
