import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seg.raster.windows import core_spans, evened_spans, plan_blocks, read_spans, round_up, window_grid

sides = st.integers(1, 70)
sizes = st.integers(4, 40)
halos = st.integers(0, 90)


@given(st.integers(1, 300), st.integers(1, 60), st.integers(0, 70))
def test_spans_of_equal_cores_tile_an_axis_and_halos_end_at_the_scene(length: int, size: int, halo: int) -> None:
    spans = core_spans(length, size, halo)
    assert [place for span in spans for place in span.core] == list(range(length))
    assert {len(span.core) for span in spans[:-1]} <= {size}
    for core, read in spans:
        assert (read.start, read.stop) == (max(core.start - halo, 0), min(core.stop + halo, length))


@given(st.integers(1, 300), st.integers(1, 60), st.integers(0, 70))
def test_evened_spans_tile_an_axis_and_read_no_more_than_their_size(length: int, inner: int, halo: int) -> None:
    size = inner + 2 * halo
    spans = evened_spans(length, size, halo)
    assert [place for span in spans for place in span.core] == list(range(length))
    assert {len(span.read) for span in spans[:-1]} <= {size}
    assert len(spans[-1].read) <= size
    assert len(spans) == max(1, -(-(length - 2 * halo) // inner))
    for core, read in spans:
        assert (read.start, read.stop) == (max(core.start - halo, 0), min(core.stop + halo, length))


@given(st.integers(1, 300), st.integers(1, 60), st.integers(0, 29))
def test_spans_that_read_windows_of_equal_size_tile_an_axis(length: int, size: int, halo: int) -> None:
    halo = min(halo, (size - 1) // 2)
    spans = read_spans(length, size, halo)
    assert [place for span in spans for place in span.core] == list(range(length))
    assert {len(span.read) for span in spans} == {min(size, length)}
    for core, read in spans:
        assert read.start == 0 or core.start - read.start >= halo
        assert read.stop == length or read.stop - core.stop >= halo


@given(sides, sides, sizes, st.data())
@example(1, 1, 4, None)
def test_windows_cover_every_pixel_if_the_stride_is_at_most_the_size(
    height: int, width: int, size: int, data: st.DataObject | None
) -> None:
    stride = size if data is None else data.draw(st.integers(1, size))
    seen = np.zeros((height, width), dtype=int)
    for window in window_grid(height, width, size, stride):
        seen[window.toslices()] += 1
    assert seen.min() >= 1


@given(sides, sides, sizes, st.integers(1, 40))
def test_windows_lie_within_the_scene_and_are_no_larger_than_their_size(
    height: int, width: int, size: int, stride: int
) -> None:
    for window in window_grid(height, width, size, stride):
        assert 1 <= window.height <= size
        assert 1 <= window.width <= size
        assert window.row_off + window.height <= height
        assert window.col_off + window.width <= width


def test_a_scene_no_larger_than_a_window_gets_one_window() -> None:
    assert len(list(window_grid(64, 40, size=64, stride=48))) == 1


@settings(deadline=None)
@given(sides, sides, sizes, halos)
@example(1, 1, 8, 16)
@example(1, 5000, 64, 32)
@example(5000, 1, 64, 32)
@example(5, 7, 32, 64)
def test_cores_cover_every_pixel_exactly_once(height: int, width: int, size: int, halo: int) -> None:
    seen = np.zeros((height, width), dtype=int)
    for block in plan_blocks(height, width, size, halo):
        seen[block.core.toslices()] += 1
    assert (seen == 1).all()


@settings(deadline=None)
@given(sides, sides, sizes, halos)
@example(1, 5000, 64, 32)
@example(5, 7, 32, 64)
def test_the_halo_of_a_block_ends_at_the_scene(height: int, width: int, size: int, halo: int) -> None:
    for block in plan_blocks(height, width, size, halo):
        (core_rows, core_columns), (rows, columns) = block.core.toslices(), block.read.toslices()
        assert (rows.start, rows.stop) == (max(core_rows.start - halo, 0), min(core_rows.stop + halo, height))
        assert (columns.start, columns.stop) == (
            max(core_columns.start - halo, 0),
            min(core_columns.stop + halo, width),
        )


@settings(deadline=None)
@given(sides, sides, sizes, halos)
def test_the_core_is_located_within_the_read_window(height: int, width: int, size: int, halo: int) -> None:
    scene = np.arange(height * width).reshape(height, width)
    for block in plan_blocks(height, width, size, halo):
        np.testing.assert_array_equal(
            scene[block.read.toslices()][block.core_within_read], scene[block.core.toslices()]
        )


@given(sides, sides, st.integers(1, 4), st.integers(1, 4), st.integers(1, 16))
def test_aligned_blocks_read_from_aligned_corners(
    height: int, width: int, cores: int, halos: int, alignment: int
) -> None:
    for block in plan_blocks(height, width, cores * alignment, halos * alignment):
        assert (block.read.row_off % alignment, block.read.col_off % alignment) == (0, 0)


@given(sides, sides, sizes)
def test_names_of_blocks_are_unique(height: int, width: int, size: int) -> None:
    names = [block.name for block in plan_blocks(height, width, size, 0)]
    assert len(set(names)) == len(names)


def test_blocks_are_ordered_row_by_row_with_their_position() -> None:
    places = [(block.row, block.column) for block in plan_blocks(10, 20, 8, 0)]
    assert places == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


@given(st.integers(0, 1000), st.integers(1, 50))
def test_rounding_up_gives_the_next_multiple(value: int, multiple: int) -> None:
    rounded = round_up(value, multiple)
    assert rounded % multiple == 0
    assert value <= rounded < value + multiple
