from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from seg.evaluation.pairs import Pair
from seg.evaluation.report.page.chips import worst_chips
from seg.evaluation.report.page.scenes import MAP_SCENES, lowest_scenes, map_scenes
from seg.evaluation.settings import EvaluationSettings

WriteRaster = Callable[..., Path]


def pairs_of(write_raster: WriteRaster, sides: list[int]) -> list[Pair]:
    pairs = []
    for i, side in enumerate(sides):
        noise = np.random.default_rng(i).integers(0, 2, (side, side)).astype(np.uint8)
        image = np.random.default_rng(i).integers(0, 255, (3, side, side)).astype(np.uint8)
        files = [write_raster(f"{kind}{i}.tif", pixels) for kind, pixels in (("map", noise), ("mask", 1 - noise))]
        pairs.append(Pair(f"s{i}", *files, image=write_raster(f"image{i}.tif", image)))
    return pairs


def test_large_scenes_use_the_budget_that_small_scenes_leave(write_raster: WriteRaster) -> None:
    pairs = pairs_of(write_raster, [300, 20, 300])
    shown = map_scenes(pairs, EvaluationSettings(), budget=100_000)
    sizes = [sum(level.size for level in scene.levels) for scene in shown]
    assert sum(sizes) <= 100_000
    assert shown[1].levels[0].width == 20
    assert min(sizes[0], sizes[2]) > 100_000 // 3
    assert [scene.name for scene in shown] == ["s0", "s1", "s2"]


def test_scene_has_the_description_of_its_grid(write_raster: WriteRaster) -> None:
    [scene] = map_scenes(pairs_of(write_raster, [30]), EvaluationSettings())
    content = scene.as_json()
    assert (content["width"], content["height"], content["crs"]) == (30, 30, "EPSG:32633")
    assert content["transform"] == [10, 0, 500_000, 0, -10, 5_000_000]
    assert content["pixel_size_m"] == 10
    assert scene.bands == ["1", "2", "3"]


def test_map_shows_the_scenes_with_the_lowest_iou() -> None:
    pairs = [Pair(f"s{i}", Path("a"), Path("b")) for i in range(MAP_SCENES + 2)]
    iou: list[float | None] = [None, *(1 - i / 100 for i in range(MAP_SCENES + 1))]
    accuracy: dict[str, Any] = {
        "scenes": [{"name": pair.name, "scores": {"iou": value}} for pair, value in zip(pairs, iou, strict=True)]
    }
    kept = lowest_scenes(accuracy, pairs)
    assert [pair.name for pair in kept] == [f"s{i}" for i in range(2, MAP_SCENES + 2)]


def test_chips_keep_their_rank_and_are_as_large_as_their_window_up_to_a_limit(write_raster: WriteRaster) -> None:
    pairs = pairs_of(write_raster, [300, 40])
    place = {"errors": 1, "compared": 1, "iou": 0.0}
    found = [
        {"scene": "s1", "column": 0, "row": 0, "width": 20, "height": 40, **place},
        {"scene": "s0", "column": 0, "row": 0, "width": 300, "height": 150, **place},
        {"scene": "s1", "column": 8, "row": 8, "width": 16, "height": 16, **place},
    ]
    chips = worst_chips(found, pairs, EvaluationSettings(), {})
    assert [chip.found for chip in chips] == found
    assert [(chip.width, chip.height) for chip in chips] == [(20, 40), (192, 96), (16, 16)]
    assert [chip.width_percent for chip in chips] == [50, 100, 100]
    assert set(chips[0].pictures) == {"image", "reference", "prediction", "errors"}
