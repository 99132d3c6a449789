"""Encode estimates as uint8 map layers, and describe the files of the maps."""

import json
from collections.abc import Sequence

import numpy as np

from seg import __version__
from seg.inference.compute.predictor import Estimate
from seg.inference.identity import RUN_TAG
from seg.inference.planning.plan import Plan
from seg.inference.screening.applying import ScreenedPixels
from seg.inference.screening.tally import ScreenedTally
from seg.labels import CROPLAND, IGNORE, LABEL_COLOURS, OTHER
from seg.raster.chips import BoolMask
from seg.raster.writing.block_store import BlockPixels
from seg.raster.writing.cog import CogLayer

DEVIATION_STEPS = 200
"""Factor from a standard deviation to its stored value. The largest deviation is 0.5, so stored values are 0 to 100."""

_SHOWN = (
    "model",
    "bands",
    "temperature",
    "bias",
    "backend",
    "threshold",
    "interior",
    "block_size",
    "halo",
    "tta",
    "version",
)
"""Values of a run's record that become tags of the maps."""


def layer_pixels(
    valid: BoolMask, estimate: Estimate, threshold: float, screening: ScreenedPixels | None = None
) -> BlockPixels:
    """Encode an estimate as (layers, H, W) uint8: classes, percent and, if present, uncertainty and screened pixels.

    Screened pixels are other, with the probability of the screener, and have no uncertainty.

    Args:
        valid: (H, W) bool; invalid pixels become 255.
        estimate: The estimate of the same pixels; its values in screened pixels do not matter.
        threshold: Probability above which a pixel is cropland.
        screening: Result of screening for the same pixels; None without a screener.
    """
    layers = 2 + (estimate.deviation is not None) + (screening is not None)
    pixels = np.empty((layers, *valid.shape), dtype=np.uint8)
    pixels[0] = np.where(estimate.probability > threshold, np.uint8(CROPLAND), np.uint8(OTHER))
    pixels[1] = np.rint(estimate.probability * 100)
    if estimate.deviation is not None:
        pixels[2] = np.rint(estimate.deviation * DEVIATION_STEPS)
    if screening is not None:
        pixels[0][screening.screened] = OTHER
        np.copyto(pixels[1], screening.percent, where=screening.screened)
        if estimate.deviation is not None:
            pixels[2][screening.screened] = IGNORE
        pixels[-1] = screening.screened
    np.copyto(pixels, np.uint8(IGNORE), where=~valid)
    return pixels


def empty_pixels(shape: tuple[int, int], layers: int) -> BlockPixels:
    """The (layers, H, W) pixels of a core without valid pixels.

    Args:
        shape: Height and width of the core.
        layers: Number of maps.
    """
    return np.full((layers, *shape), IGNORE, dtype=np.uint8)


def map_descriptions(plan: Plan, screened: ScreenedTally | None = None) -> list[CogLayer]:
    """Description, nodata, scale, colours and tags of each map, in the order of the store's layers.

    Args:
        plan: Plan of the scene.
        screened: Blocks and pixels that were screened; None without a screener.
    """
    tags = map_tags(plan) | ({} if screened is None else screened.tags)
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
        tags={**tags, "UNITS": "percent of 0.5, the largest possible standard deviation"},
    )
    shown = CogLayer(
        nodata=IGNORE,
        description="screened pixels, which were mapped as other without computing them",
        tags={**tags, "UNITS": "0 computed, 1 screened"},
    )
    identity = plan.scene.identity
    return [classes, probability] + [uncertainty] * identity.uncertainty + [shown] * (identity.screening is not None)


def map_tags(plan: Plan) -> dict[str, str]:
    """Tags of all maps of a run: the software, the run, and the values that the pixels depend on."""
    record, area, unlikeness = plan.record, plan.scene.area, plan.scene.unlikeness
    return (
        {"SOFTWARE": f"cropland-seg {__version__}", RUN_TAG: plan.scene.identity.checksum}
        | {f"SEG_{key.upper()}": _text(record[key]) for key in _SHOWN}
        | ({} if area is None else {"SEG_AREA": area.name})
        | ({} if unlikeness is None else {"SEG_DISTANCE": f"{unlikeness.distance:.4g}"})
        | ({} if unlikeness is None else {"SEG_DISTANCE_LIMIT": f"{unlikeness.limit:.4g}"})
    )


def _text(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
