from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from seg.data.dataset.catalogue import Scene
from seg.data.samples.grid_chips import GridChips
from seg.labels import IGNORE
from seg.raster.chips import Reading
from seg.raster.grid import Grid
from support.samples import grids_of

SCENE = Scene(Path("image.tif"), Path("mask.tif"), 0)
GRID = Grid(SCENE.image, 1, 1, 1, None, Affine.identity(), None, "uint8")


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(0, 19))
def test_chips_cover_each_pixel_once_at_any_size(height: int, width: int, size: int, halo: int) -> None:
    halo = min(halo, (size - 1) // 2)
    counted = np.zeros((height, width), dtype=int)
    grid = replace(GRID, height=height, width=width)
    for _, block in GridChips({SCENE: grid}, size, Reading([1], [0.0]), halo).chips:
        counted[block.core.toslices()] += 1
        (top, bottom), (left, right) = block.core.toranges()
        (first, last), (west, east) = block.read.toranges()
        assert (last - first, east - west) == (min(size, height), min(size, width))
        assert 0 <= first <= max(top - halo, 0)
        assert 0 <= west <= max(left - halo, 0)
        assert min(bottom + halo, height) <= last <= height
        assert min(right + halo, width) <= east <= width
    assert (counted == 1).all()


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(3, 12), st.booleans())
def test_all_chips_together_have_the_labels_of_the_scene(
    tmp_path_factory: pytest.TempPathFactory,
    write_raster: Callable[..., Path],
    height: int,
    width: int,
    size: int,
    with_halo: bool,
) -> None:
    folder = tmp_path_factory.mktemp("scene")
    labels = np.random.default_rng(0).choice(np.array([0, 1, IGNORE], np.uint8), (height, width))
    scene = Scene(write_raster(folder / "i.tif", labels + np.uint8(1)), write_raster(folder / "m.tif", labels), 0)
    dataset = GridChips(grids_of(scene), size, Reading([1], [0.0]), halo=int(with_halo))
    seen = torch.cat([dataset[index]["mask"].flatten() for index in range(len(dataset))])
    assert [int((seen == value).sum()) for value in (0, 1)] == [int((labels == value).sum()) for value in (0, 1)]


def test_pixels_around_a_core_keep_their_values_but_not_their_labels(
    tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    scene = Scene(
        write_raster(tmp_path / "i.tif", np.full((5, 5), 9, np.uint8)),
        write_raster(tmp_path / "m.tif", np.ones((5, 5), np.uint8)),
        0,
    )
    last = GridChips(grids_of(scene), 4, Reading([1], [0.0]))[3]
    assert (last["image"] == 9).all()
    assert (last["mask"] != IGNORE).nonzero().tolist() == [[3, 3]]
