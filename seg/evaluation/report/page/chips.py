"""Pictures of the windows with the most wrong pixels: image, reference, prediction and errors."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from PIL import Image
from rasterio.windows import Window

from seg.evaluation.pairs import Pair
from seg.evaluation.report.colours import Colour, palettes
from seg.evaluation.report.layers import Bytes, SceneReader, open_scene
from seg.evaluation.report.page.tiles import webp
from seg.evaluation.settings import EvaluationSettings
from seg.raster.pictures.composite import Limits

CHIP_SIDE = 192
CHIPS = 12


@dataclass(frozen=True)
class WorstChip:
    """A window and its pictures.

    Attributes:
        found: Entry of `accuracy.json`: scene, position, errors, compared pixels and IoU.
        width: Width of the pictures in pixels.
        height: Height of the pictures in pixels.
        pictures: Data URIs by layer; the layer "image" is missing if the scene has no image.
    """

    found: Mapping[str, Any]
    width: int
    height: int
    pictures: Mapping[str, str]

    @property
    def width_percent(self) -> int:
        """Width of the pictures in percent of the surrounding square; below 100 if pictures are higher than wide."""
        return round(100 * self.width / max(self.width, self.height))


def worst_chips(
    found: Sequence[Mapping[str, Any]],
    pairs: Sequence[Pair],
    settings: EvaluationSettings,
    limits: Mapping[str, Limits],
) -> list[WorstChip]:
    """Draw the CHIPS worst windows, at full resolution up to CHIP_SIDE pixels.

    Args:
        found: The "worst" entries of `accuracy.json`.
        pairs: The compared files.
        settings: Settings of the comparison.
        limits: Display limits of the image by scene, so that chips have the colours of the map. Chips of scenes without
            limits are stretched separately.

    Raises:
        RasterError: A file cannot be read.
    """
    by_name = {pair.name: pair for pair in pairs}
    drawn: dict[int, WorstChip] = {}
    ranked = sorted(enumerate(found[:CHIPS]), key=lambda entry: entry[1]["scene"])
    # Chips are grouped by scene, since opening a vector reference reads all its polygons.
    for name, windows in groupby(ranked, key=lambda entry: entry[1]["scene"]):
        with open_scene(by_name[name], settings) as scene:
            drawn |= {rank: _drawn(window, scene, limits.get(name)) for rank, window in windows}
    return [drawn[rank] for rank in sorted(drawn)]


def _drawn(found: Mapping[str, Any], scene: SceneReader, limits: Limits | None) -> WorstChip:
    window = Window(found["column"], found["row"], found["width"], found["height"])
    shrink = max(1.0, max(found["width"], found["height"]) / CHIP_SIDE)
    height, width = max(1, round(found["height"] / shrink)), max(1, round(found["width"] / shrink))
    layers = scene.read(window, (height, width), limits)
    pictures = {} if layers.image is None else {"image": f"data:image/webp;base64,{webp(layers.image)}"}
    tables = palettes()
    for name in ("reference", "prediction", "errors"):
        pictures[name] = f"data:image/png;base64,{indexed_png(layers.codes, tables[name])}"
    return WorstChip(found, width, height, pictures)


def indexed_png(codes: Bytes, palette: Sequence[Colour]) -> str:
    """Encode (H, W) codes as a PNG with a palette, as base64."""
    picture = Image.fromarray(codes).convert("P")
    picture.putpalette(np.asarray(palette, np.uint8)[:, :3].ravel().tolist())
    content = io.BytesIO()
    picture.save(content, format="png", bits=4, transparency=bytes(colour[3] for colour in palette), optimize=True)
    return base64.b64encode(content.getvalue()).decode("ascii")
