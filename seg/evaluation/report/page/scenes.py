"""Scenes of the page's map: image pyramids within a common size limit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.evaluation.pairs import Pair
from seg.evaluation.report.layers import open_scene
from seg.evaluation.report.page.tiles import Level, encoded_within, shrunk
from seg.evaluation.settings import EvaluationSettings
from seg.raster.grid import Grid, band_texts, read_grid
from seg.raster.ground.crs import crs_name
from seg.raster.pictures.composite import Limits, display_bands

MAP_BYTES = 2_300_000
"""Size limit of all tiles together, so that the page with its chips and tables stays below 3 MB."""

MAP_SCENES = 60
"""Largest number of scenes on the map; more scenes would be too small. Scenes with the lowest IoU are chosen."""

READ_SIDE = 1536
"""Longest side at which a scene is read. MAP_BYTES hold about one scene of this size; reading takes about 200 MB."""


@dataclass(frozen=True)
class MapScene:
    """A scene on the page's map.

    Attributes:
        name: Name of the scene.
        grid: Grid of the scene's map.
        levels: Image pyramid, finest level first.
        limits: Stored values of the image that are shown darkest and brightest.
        bands: Descriptions or numbers of the bands that are shown as red, green and blue, or as grey; empty if there is
            no image.
    """

    name: str
    grid: Grid
    levels: list[Level]
    limits: Limits
    bands: list[str]

    def as_json(self) -> dict[str, object]:
        """Plain values for the page's script."""
        return {
            "name": self.name,
            "width": self.grid.width,
            "height": self.grid.height,
            "crs": None if self.grid.crs is None else crs_name(self.grid.crs),
            "transform": list(self.grid.transform)[:6],
            "pixel_size_m": self.grid.pixel_size_m,
            "levels": [asdict(level) for level in self.levels],
        }


def map_scenes(scenes: Sequence[Pair], settings: EvaluationSettings, budget: int = MAP_BYTES) -> list[MapScene]:
    """Encode scenes for the map, in the given order. Large scenes may use the budget that small scenes leave.

    Args:
        scenes: The compared files.
        settings: Settings of the comparison.
        budget: Largest number of characters of all tiles together.

    Raises:
        RasterError: A file cannot be read.
    """
    grids = {scene.name: read_grid(scene.prediction) for scene in scenes}
    by_size = sorted(scenes, key=lambda scene: grids[scene.name].height * grids[scene.name].width)
    shown: dict[str, MapScene] = {}
    for left, scene in zip(range(len(by_size), 0, -1), by_size, strict=True):
        shown[scene.name] = _map_scene(scene, settings, budget // left)
        budget -= sum(level.size for level in shown[scene.name].levels)
    return [shown[scene.name] for scene in scenes]


def lowest_scenes(accuracy: Mapping[str, Any], scenes: Sequence[Pair]) -> list[Pair]:
    """Select the MAP_SCENES scenes with the lowest IoU, in the given order; an undefined IoU counts as the highest.

    Args:
        accuracy: Content of `accuracy.json`.
        scenes: The compared files.
    """
    iou = {row["name"]: row["scores"]["iou"] for row in accuracy["scenes"]}
    ranked = sorted(scenes, key=lambda scene: math.inf if iou.get(scene.name) is None else iou[scene.name])
    kept = {scene.name for scene in ranked[:MAP_SCENES]}
    return [scene for scene in scenes if scene.name in kept]


def _map_scene(pair: Pair, settings: EvaluationSettings, budget: int) -> MapScene:
    with open_scene(pair, settings) as scene:
        grid = scene.pair.grid
        shape = shrunk((grid.height, grid.width), READ_SIDE / max(grid.height, grid.width))
        layers = scene.read(Window(0, 0, grid.width, grid.height), shape)
        bands = [] if scene.image is None else _band_names(scene.image)
    return MapScene(pair.name, grid, encoded_within(layers, budget), layers.limits, bands)


def _band_names(image: DatasetReader) -> list[str]:
    names = band_texts(image)
    return [names[band - 1] or str(band) for band in display_bands(image)]
