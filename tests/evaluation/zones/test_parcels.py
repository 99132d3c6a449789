import numpy as np
import pytest
from rasterio.windows import Window
from scipy import ndimage

from seg.evaluation.zones.parcels import ZoneParcels
from seg.raster.windows import window_grid


def counted(cropland: np.ndarray, zone: np.ndarray, zones: int, size: int, smallest: int = 1) -> list[int]:
    height, width = cropland.shape
    parcels = ZoneParcels(width, zones, smallest)
    for window in window_grid(height, width, size, size):
        parcels.add(window, cropland[window.toslices()], zone[window.toslices()])
    found: list[int] = parcels.counts().tolist()
    return found


def test_a_parcel_belongs_to_the_zone_with_most_of_its_pixels() -> None:
    cropland, zone = np.zeros((4, 9), bool), np.ones((4, 9), np.int64)
    zone[:, 4:] = 2
    cropland[0, 1:6] = True  # three pixels in zone 1, two in zone 2
    cropland[2, 3:8] = True  # one in zone 1, four in zone 2
    cropland[3, 0] = True
    assert counted(cropland, zone, 2, size=3) == [0, 2, 1]
    assert counted(cropland, zone, 2, size=3, smallest=2) == [0, 1, 1]


@pytest.mark.parametrize("size", [5, 16, 64])
def test_size_of_windows_does_not_change_the_counts(size: int) -> None:
    random = np.random.default_rng(0)
    cropland = random.random((50, 60)) < 0.55
    zone = np.repeat(np.repeat(random.integers(0, 4, (5, 6)), 10, 0), 10, 1)
    labels, count = ndimage.label(cropland)
    expected = [0] * 4
    for parcel in range(1, count + 1):
        expected[int(np.argmax(np.bincount(zone[labels == parcel], minlength=4)))] += 1
    assert counted(cropland, zone, 3, size) == expected


def test_a_window_without_cropland_has_no_parcel() -> None:
    parcels = ZoneParcels(4, 1)
    parcels.add(Window(0, 0, 4, 4), np.zeros((4, 4), bool), np.ones((4, 4), np.int64))
    assert parcels.counts().tolist() == [0, 0]
