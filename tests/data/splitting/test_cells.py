from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from seg.data.splitting.cells import Cells, cut_cells, trims_between
from seg.errors import DatasetError
from seg.raster.grid import Grid

UTM = CRS.from_epsg(32633)


def grid(size: tuple[int, int], transform: Affine, crs: CRS | None = UTM) -> Grid:
    return Grid(Path("a.tif"), size[0], size[1], 1, crs, transform, None, "uint8")


@st.composite
def neighbours(draw: st.DrawFn) -> list[Grid]:
    """Up to three neighbouring scenes with any pixel size and offsets of less than a pixel; some are upside down."""
    grids = []
    for _ in range(draw(st.integers(1, 3))):
        left, top = (draw(st.floats(-150, 150)) for _ in range(2))
        pixel, down = draw(st.sampled_from([10, 10, 7, 13.5])), draw(st.sampled_from([-1, 1]))
        size = draw(st.integers(1, 30)), draw(st.integers(1, 30))
        grids.append(grid(size, Affine(pixel, 0, 500_000 + left, 0, down * pixel, 5_000_000 + top)))
    return grids


def rectangle(found: Grid, window: Window) -> shapely.Polygon:
    """Rectangle of a window on the ground."""
    rows, columns = window.toslices()
    first, last = found.transform @ (columns.start, rows.start), found.transform @ (columns.stop, rows.stop)
    return shapely.box(*np.minimum(first, last), *np.maximum(first, last))


@settings(max_examples=80, deadline=None)
@given(neighbours(), st.integers(0, 2), st.integers(2, 4), st.integers(0, 999), st.booleans())
def test_pixels_of_different_folds_are_a_guard_apart_and_only_guards_are_removed(
    grids: list[Grid], guard: int, folds: int, seed: int, sparse: bool
) -> None:
    cells = cut_cells(grids, block_m=120, guard_m=10 * guard)
    fold_of = np.random.default_rng(seed).integers(-1 if sparse else 0, folds, cells.shape)
    trims = trims_between(fold_of)
    seen = [np.zeros((found.height, found.width), dtype=int) for found in grids]
    parts = []
    for scene, cell, window in cells.windows(trims):
        seen[scene][window.toslices()] += 1
        if fold_of[cell] >= 0:
            parts.append((int(fold_of[cell]), rectangle(grids[scene], window)))
    for (one, first), (other, second) in combinations(parts, 2):
        assert one == other or first.distance(second) >= 10 * guard - 1e-6
    whole = [np.zeros_like(raster) for raster in seen]
    for scene, cell, window in cells.windows():
        whole[scene][window.toslices()] += 1
        lost = seen[scene][window.toslices()] == 0
        assert trims[:, *cell].any() or not lost.any(), "a cell without a guard loses pixels"
    assert all((raster == 1).all() for raster in whole)
    assert all((raster <= 1).all() for raster in seen)


def test_cells_are_square_on_the_ground_and_the_last_cell_includes_a_small_remainder() -> None:
    cells = cut_cells([grid((100, 64), Affine(10, 0, 500_000, 0, -10, 5_000_000))], 300, 20)
    assert cells.rows.tolist() == [0, 30, 60, 100]
    assert cells.columns.tolist() == [0, 30, 64]
    assert cells.guard == (2, 2)


def test_scenes_in_degrees_are_cut_in_metres() -> None:
    cells = cut_cells([grid((100, 100), Affine(0.001, 0, 15, 0, -0.001, 60), CRS.from_epsg(4326))], 1000, 100)
    assert np.diff(cells.rows)[0] == 9
    assert np.diff(cells.columns)[0] == 18
    assert cells.guard == (1, 2)


def test_a_rotated_scene_is_cut_along_its_rows() -> None:
    turned = Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(10, -10)
    assert cut_cells([grid((60, 60), turned)], 300, 20).rows.tolist() == [0, 30, 60]


def test_only_the_side_towards_another_fold_is_trimmed() -> None:
    assert trims_between(np.array([[0, 0, 1]])).tolist() == [[[False] * 3], [[False, False, True]]]
    assert not trims_between(np.array([[0, -1, 1]])).any()


def test_folds_that_touch_at_a_corner_get_a_guard() -> None:
    assert trims_between(np.array([[0, 1], [1, 1]])).any()
    assert trims_between(np.array([[0, -1], [-1, 1]])).any()
    assert trims_between(np.array([[-1, 1], [0, -1]])).any()


def test_a_scene_without_a_georeference_cannot_be_cut_in_metres() -> None:
    with pytest.raises(DatasetError, match=r"a\.tif: CRS is none.*split by scene"):
        cut_cells([grid((60, 60), Affine.identity(), None)], 300, 20)


def test_near_scenes_in_two_reference_systems_are_refused() -> None:
    pair = [grid((60, 60), Affine(10, 0, 500_000, 0, -10, 5_000_000), CRS.from_epsg(code)) for code in (32633, 32632)]
    with pytest.raises(DatasetError, match=r"another CRS or direction \(EPSG:32632, EPSG:32633\)"):
        cut_cells(pair, 300, 20)


def test_blocks_too_small_for_the_guard_are_refused() -> None:
    with pytest.raises(
        DatasetError, match=r"blocks of 50 m are 5 pixels wide and the guard of 100 m is 10 wide; wanted .* 22"
    ):
        cut_cells([grid((60, 60), Affine(10, 0, 500_000, 0, -10, 5_000_000))], 50, 100)


def test_windows_of_cells_lie_between_their_lines() -> None:
    cells = Cells(np.array([0.0, 2, 4]), np.array([0.0, 3]), (1, 1), (Affine.identity(),), ((4, 3),))
    assert [(cell, window) for _, cell, window in cells.windows()] == [
        ((0, 0), Window(0, 0, 3, 2)),
        ((1, 0), Window(0, 2, 3, 2)),
    ]
