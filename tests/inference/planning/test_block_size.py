import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.inference.planning.block_size import (
    SMALLEST,
    BlockSize,
    automatic_size,
    cutting,
    recorded_size,
    square,
    usual_size,
)
from seg.raster.windows import blocks_of

lengths = st.integers(1, 3000)


@given(lengths, lengths, st.integers(1, 40), st.integers(0, 10), st.booleans())
def test_cutting_counts_the_pixels_that_blocks_read(
    height: int, width: int, cores: int, halos: int, read: bool
) -> None:
    halo = 32 * halos
    side = 32 * cores + (2 * halo if read else 0)
    size = BlockSize(side, side, read)
    found = cutting((height, width), size, halo)
    reads = [block.read.width * block.read.height for block in blocks_of(*size.spans((height, width), halo))]
    assert (found.computed, found.largest) == (sum(reads), max(reads))


@given(lengths, lengths, st.sampled_from([1, 4, 8, 24]), st.integers(0, 20), st.integers(1000, 4_000_000))
def test_blocks_fit_the_memory_or_are_as_small_as_is_sensible(
    height: int, width: int, alignment: int, halos: int, pixels: int
) -> None:
    shape, halo = (height, width), alignment * halos
    size = automatic_size(shape, halo, alignment, pixels)
    assert size.height % alignment == size.width % alignment == 0
    if cutting(shape, size, halo).largest > pixels:
        most = max(SMALLEST, halo + 1) + alignment
        # With more blocks, cores would be smaller than the halo or than SMALLEST.
        for spans in size.spans(shape, halo):
            assert len(spans) == 1 or max(len(span.core) for span in spans) < 2 * most + halo
    for spans in size.spans(shape, halo):
        assert all(len(span.core) >= min(SMALLEST, halo) for span in spans[:-1])


@given(st.integers(300, 3000), st.integers(300, 3000), st.integers(1, 100), st.integers(100_000, 2_000_000))
def test_no_grid_of_equal_squares_saves_more_than_3_percent_of_the_pixels(
    height: int, width: int, halo: int, pixels: int
) -> None:
    shape = (height, width)
    found = cutting(shape, automatic_size(shape, halo, 1, pixels), halo)
    squares = [cutting(shape, square(side), halo) for side in range(max(SMALLEST, halo + 1), max(shape), 13)]
    fewest = min((each.computed for each in squares if each.largest <= pixels), default=None)
    assert fewest is None or found.computed <= 1.03 * fewest


def test_two_wide_blocks_are_chosen_since_they_compute_fewer_pixels_than_four_squares() -> None:
    shape, size = (4096, 4096), automatic_size((4096, 4096), halo=200, alignment=8, pixels=10_000_000)
    assert [len(spans) for spans in size.spans(shape, 200)] in ([1, 2], [2, 1])
    assert cutting(shape, size, 200).computed < 0.92 * cutting(shape, square(2048), 200).computed


def test_blocks_at_the_edges_have_larger_cores_since_they_have_fewer_halos() -> None:
    # Equal cores of at most 3600 would need four blocks along each side.
    size = automatic_size((11_200, 11_200), halo=200, alignment=8, pixels=4000**2)
    assert size == BlockSize(4000, 4000, read=True)
    rows, _ = size.spans((11_200, 11_200), 200)
    assert [len(span.core) for span in rows] == [3800, 3600, 3800]


def test_blocks_without_halos_have_the_usual_size() -> None:
    assert usual_size((4096, 4096), alignment=1, pixels=4_000_000) == square(1024)
    assert usual_size((4096, 4096), alignment=8, pixels=300_000) == square(544)
    assert usual_size((4096, 4096), alignment=8, pixels=10) == square(128)
    assert usual_size((300, 200), alignment=8, pixels=4_000_000) == square(304)


def test_a_scene_that_fits_into_the_memory_is_one_block() -> None:
    size = automatic_size((1000, 1200), halo=200, alignment=8, pixels=1_200_000)
    assert size == square(1200)
    assert size.holds((1000, 1200))
    assert not size.holds((1000, 1201))


def test_a_larger_halo_needs_larger_blocks_or_more_memory() -> None:
    shape, pixels = (6000, 6000), 2_000_000
    computed = [cutting(shape, automatic_size(shape, halo, 8, pixels), halo).computed for halo in (8, 80, 200)]
    assert computed == sorted(computed)
    more = automatic_size(shape, 200, 8, 2 * pixels)
    assert cutting(shape, more, 200).computed < computed[2]


def test_a_long_thin_scene_is_cut_along_its_length_alone() -> None:
    size = automatic_size((100, 50_000), halo=64, alignment=8, pixels=1_000_000)
    rows, columns = size.spans((100, 50_000), 64)
    assert (len(rows), len(columns)) == (1, 6)


@pytest.mark.parametrize("size", [square(512), BlockSize(4096, 2248, read=True)])
def test_a_size_is_restored_from_its_record(size: BlockSize) -> None:
    assert recorded_size(json.loads(json.dumps(size.record))) == size
    assert [recorded_size(other) for other in (None, "512", [1], [1, "2"])] == [None] * 4


def test_text_names_the_halo_that_a_size_includes() -> None:
    assert square(512).text(40) == "512, halo 40"
    assert BlockSize(2248, 4096, read=True).text(200) == "4096x2248, halo 200 included"
