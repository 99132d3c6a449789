"""Encode estimates as uint8 map layers, and describe the files of the maps."""

import json
from collections.abc import Sequence

import numpy as np

from seg import __version__
from seg.inference.compute.predictor import Estimate
from seg.inference.identity import RUN_TAG
from seg.inference.planning.plan import Plan
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


def layer_pixels(valid: BoolMask, estimate: Estimate, threshold: float) -> BlockPixels:
    """Encode an estimate as (layers, H, W) uint8: classes, percent and, if estimated, uncertainty.

    Args:
        valid: (H, W) bool; invalid pixels become 255.
        estimate: The estimate of the same pixels.
        threshold: Probability above which a pixel is cropland.
    """
    pixels = np.empty((2 if estimate.deviation is None else 3, *valid.shape), dtype=np.uint8)
    pixels[0] = np.where(estimate.probability > threshold, np.uint8(CROPLAND), np.uint8(OTHER))
    pixels[1] = np.rint(estimate.probability * 100)
    if estimate.deviation is not None:
        pixels[2] = np.rint(estimate.deviation * DEVIATION_STEPS)
    np.copyto(pixels, np.uint8(IGNORE), where=~valid)
    return pixels


def empty_pixels(shape: tuple[int, int], uncertainty: bool) -> BlockPixels:
    """The (layers, H, W) pixels of a core without valid pixels.

    Args:
        shape: Height and width of the core.
        uncertainty: Add a third layer.
    """
    return np.full((3 if uncertainty else 2, *shape), IGNORE, dtype=np.uint8)


def map_descriptions(plan: Plan) -> list[CogLayer]:
    """Description, nodata, scale, colours and tags of each map, in the order of the store's layers."""
    tags = map_tags(plan)
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
    return [classes, probability, uncertainty][: 3 if plan.scene.identity.uncertainty else 2]


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
