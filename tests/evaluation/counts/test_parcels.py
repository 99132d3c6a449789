import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from seg.evaluation.counts.parcels import ParcelCounts, ParcelOverlaps
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.windows import window_grid

classes = st.sampled_from([OTHER, CROPLAND, CROPLAND, IGNORE])
shapes = st.tuples(st.integers(1, 16), st.integers(1, 16))
rasters = shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.uint8, shape, elements=classes)] * 2))


def count(
    mapped: np.ndarray, labels: np.ndarray, size: int = 100, threshold: float = 0.5, smallest: int = 1
) -> ParcelCounts:
    height, width = mapped.shape
    parcels = ParcelOverlaps(width)
    for window in window_grid(height, width, size, size):
        parcels.add(window, mapped[window.toslices()], labels[window.toslices()])
    return parcels.counts(threshold, smallest)


def by_hand(mapped: np.ndarray, labels: np.ndarray, threshold: float, smallest: int) -> ParcelCounts:
    """Counts by the definition, computed parcel by parcel."""
    compared = (mapped != IGNORE) & (labels != IGNORE)
    parts = []
    for raster in (mapped, labels):
        numbers, number = ndimage.label(compared & (raster == CROPLAND))
        parcels = [numbers == one for one in range(1, number + 1)]
        parts.append([parcel for parcel in parcels if parcel.sum() >= smallest])
    matched, over, under = 0, [], []
    for true in parts[1]:
        shared = [(int((true & one).sum()), -int(one.sum())) for one in parts[0]]
        matched += sum(pixels / (true.sum() - area - pixels) > threshold for pixels, area in shared)
        pixels, area = max(shared, default=(0, 0))
        if pixels:
            over.append(1 - pixels / true.sum())
            under.append(1 + pixels / area)
    return ParcelCounts(len(parts[1]), len(parts[0]), matched, len(over), sum(over), sum(under))


@settings(max_examples=100, deadline=None)
@given(rasters, st.sampled_from([0.5, 0.75]), st.sampled_from([1, 3]))
def test_counts_follow_the_definition(pair: tuple[np.ndarray, np.ndarray], threshold: float, smallest: int) -> None:
    found, wanted = count(*pair, threshold=threshold, smallest=smallest), by_hand(*pair, threshold, smallest)
    assert (found.reference, found.mapped, found.matched, found.overlapped) == (
        wanted.reference,
        wanted.mapped,
        wanted.matched,
        wanted.overlapped,
    )
    assert (found.over, found.under) == pytest.approx((wanted.over, wanted.under))


@settings(max_examples=100, deadline=None)
@given(rasters, st.integers(1, 17))
def test_counts_do_not_depend_on_the_windows(pair: tuple[np.ndarray, np.ndarray], size: int) -> None:
    assert count(*pair, size=size) == count(*pair)


def test_field_split_in_three_is_over_segmented() -> None:
    labels = np.zeros((10, 14), dtype=np.uint8)
    labels[1:9, 1:13] = CROPLAND
    mapped = labels.copy()
    mapped[:, [5, 9]] = OTHER
    found = count(mapped, labels)
    assert (found.reference, found.mapped, found.matched, found.recall) == (1, 3, 0, 0)
    assert found.over_segmentation == pytest.approx(1 - 32 / 96)
    assert found.under_segmentation == 0


def test_merged_fields_are_under_segmented() -> None:
    mapped = np.zeros((10, 14), dtype=np.uint8)
    mapped[1:9, 1:13] = CROPLAND
    labels = mapped.copy()
    labels[:, 6] = OTHER
    found = count(mapped, labels)
    assert (found.reference, found.mapped, found.matched, found.precision) == (2, 1, 0, 0)
    assert found.over_segmentation == 0
    assert found.under_segmentation == pytest.approx(1 - (40 + 48) / 96 / 2)


def test_iou_of_exactly_one_half_is_no_match() -> None:
    mapped = np.full((1, 4), CROPLAND, dtype=np.uint8)
    labels = np.array([[CROPLAND, CROPLAND, OTHER, OTHER]], dtype=np.uint8)
    assert count(mapped, labels).matched == 0


def test_without_parcels_scores_are_undefined() -> None:
    found = count(np.zeros((3, 3), np.uint8), np.zeros((3, 3), np.uint8))
    assert found == ParcelCounts()
    scores = (found.precision, found.recall, found.f1, found.over_segmentation, found.under_segmentation)
    assert scores == (None, None, None, None, None)


def test_sum_over_scenes_adds_parcels() -> None:
    one, other = ParcelCounts(1, 2, 1, 1, 0.5, 0.25), ParcelCounts(3, 3, 2, 3, 0.5, 0.75)
    assert one + other == ParcelCounts(4, 5, 3, 4, 1.0, 1.0)
    assert (one + other).over_segmentation == 0.25
