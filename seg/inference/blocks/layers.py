"""The maps of a scene: what a block keeps of an estimate, and what each file says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg.inference.compute.predictor import Estimate
from seg.labels import (
    CROPLAND,
    IGNORE,
    LABEL_COLOURS,
    OTHER,
)
from seg.raster.chips import BoolMask
from seg.raster.writing.block_store import BlockPixels
from seg.raster.writing.cog import CogLayer

DEVIATION_STEPS = 200
"""Of a standard deviation of 1, as a map of uncertainty stores it: 0 to 100, as 0.5 is the largest there is."""


@dataclass(frozen=True)
class MapLayers:
    """Which layers blocks have, in the order in which the store holds them.

    Attributes:
        threshold: Probability above which a pixel is cropland.
        uncertainty: Whether there is a third layer.
    """

    threshold: float
    uncertainty: bool

    def pixels(self, valid: BoolMask, estimate: Estimate | None) -> BlockPixels:
        """The (layers, H, W) uint8 classes, percents and, if wanted, uncertainties of a block's core.

        Args:
            valid: (H, W) bool.
            estimate: That of the core; None where nothing is valid.
        """
        pixels = np.empty((3 if self.uncertainty else 2, *valid.shape), dtype=np.uint8)
        if estimate is None:
            pixels[:] = IGNORE
            return pixels
        pixels[0] = np.where(estimate.probability > self.threshold, np.uint8(CROPLAND), np.uint8(OTHER))
        pixels[1] = np.rint(estimate.probability * 100)
        if estimate.deviation is not None:
            pixels[2] = np.rint(estimate.deviation * DEVIATION_STEPS)
        np.copyto(pixels, np.uint8(IGNORE), where=~valid)
        return pixels

    def paths(self, output: Path) -> list[Path]:
        """The file of each layer: the class map itself, and beside it those with the layer added to its stem."""
        names = ["_probability", "_uncertainty"] if self.uncertainty else ["_probability"]
        return [output, *(output.with_name(f"{output.stem}{name}{output.suffix}") for name in names)]

    def descriptions(self, tags: Mapping[str, str]) -> list[CogLayer]:
        """What the file of each layer says of itself, beside these tags."""
        classes = CogLayer(
            nodata=IGNORE,
            description="cropland",
            colours=LABEL_COLOURS,
            tags={**tags, "UNITS": "0 other, 1 cropland"},
            resampling="AVERAGE",
        )
        probability = CogLayer(nodata=IGNORE, description="cropland probability", scale=0.01, tags=tags)
        uncertainty = CogLayer(
            nodata=IGNORE,
            description="standard deviation of the cropland probability over views and models",
            scale=1 / DEVIATION_STEPS,
            tags={**tags, "UNITS": "percent of 0.5, the largest standard deviation there is"},
        )
        return [classes, probability, uncertainty][: 3 if self.uncertainty else 2]
