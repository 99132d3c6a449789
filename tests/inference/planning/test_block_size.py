from hypothesis import given
from hypothesis import strategies as st

from seg.inference.planning.block_size import SMALLEST, automatic_size, cutting
from seg.raster.windows import plan_blocks

lengths = st.integers(1, 3000)


@given(lengths, lengths, st.integers(1, 40), st.integers(0, 10))
def test_cutting_counts_what_the_blocks_read(height: int, width: int, cores: int, halos: int) -> None:
    size, halo = 32 * cores, 32 * halos
    found = cutting((height, width), size, halo)
    reads = [block.read.width * block.read.height for block in plan_blocks(height, width, size, halo)]
    assert (found.computed, found.largest) == (sum(reads), max(reads))


@given(lengths, lengths, st.sampled_from([1, 4, 8, 24]), st.integers(0, 20), st.integers(1000, 4_000_000))
def test_blocks_fit_the_memory_or_are_as_small_as_is_sensible(
    height: int, width: int, alignment: int, halos: int, pixels: int
) -> None:
    halo = alignment * halos
    size = automatic_size((height, width), halo, alignment, pixels, 512)
    assert size % alignment == 0
    smallest = max(SMALLEST, halo)
    assert cutting((height, width), size, halo).largest <= pixels or size < smallest + alignment


def test_no_block_is_a_sliver() -> None:
    # With 1024 of 1100 pixels, the last block would have 76.
    assert automatic_size((1100, 1100), halo=32, alignment=8, pixels=1_100_000, tile=512) == 552


def test_multiples_of_the_tile_are_preferred_at_similar_cost() -> None:
    assert automatic_size((4000, 4000), halo=64, alignment=8, pixels=1_500_000, tile=512) == 1024


def test_blocks_without_halos_are_not_smaller_than_usual() -> None:
    assert automatic_size((4096, 4096), halo=0, alignment=1, pixels=4_000_000, tile=512) == 1024
    assert automatic_size((4096, 4096), halo=0, alignment=1, pixels=300_000, tile=512) == 512


def test_the_largest_possible_side_may_be_a_multiple_of_the_tile() -> None:
    # No equal parts of 5000 are 1024 wide, and a block may read at most 1024 x 1024 pixels.
    assert automatic_size((5000, 5000), halo=0, alignment=1, pixels=1024**2, tile=512) == 1024


def test_a_scene_that_fits_into_the_memory_is_one_block() -> None:
    assert automatic_size((1000, 1200), halo=200, alignment=8, pixels=1_200_000, tile=512) == 1200


def test_a_larger_halo_needs_larger_blocks_or_more_memory() -> None:
    shape, pixels = (6000, 6000), 2_000_000
    computed = [cutting(shape, automatic_size(shape, halo, 8, pixels, 512), halo).computed for halo in (0, 80, 200)]
    assert computed == sorted(computed)
    more = automatic_size(shape, 200, 8, 2 * pixels, 512)
    assert cutting(shape, more, 200).computed < computed[2]


def test_a_long_thin_scene_is_divided_only_along_its_length() -> None:
    size = automatic_size((100, 50_000), halo=64, alignment=8, pixels=1_000_000, tile=512)
    assert size > 5000
    assert cutting((100, 50_000), size, 64).largest <= 1_000_000
