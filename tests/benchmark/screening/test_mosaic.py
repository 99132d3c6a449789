from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.benchmark.screening import mosaic
from seg.benchmark.screening.mosaic import Tile, empty_blocks, patches_without_cropland, write_mosaic
from seg.benchmark.screening.splits import split_risk
from seg.errors import DatasetError
from support.screeners import green_screener


def tile(number: int, cropland: slice, side: int = 256) -> Tile:
    """Green, red and near infrared of bare ground, with plants on the cropland."""
    image = np.random.default_rng(number).normal(2000, 60, (3, side, side))
    mask = np.zeros((side, side), np.uint8)
    mask[cropland] = 1
    image[2, cropland] += 2500
    return Tile(image.astype(np.uint16), mask)


def test_the_wanted_share_of_blocks_is_empty_in_rows_or_scattered() -> None:
    rows, scattered = empty_blocks(5, 0.6, scattered=False), empty_blocks(5, 0.6, scattered=True)
    assert rows.sum() == scattered.sum() == 15
    assert rows[:3].all()
    assert not (scattered == rows).all()


def test_patches_hold_no_cropland() -> None:
    found = patches_without_cropland([tile(0, slice(0, 100)), tile(1, slice(0, 256))])
    assert len(found) == 8
    assert not any(patch.mask.any() for patch in found)
    with pytest.raises(DatasetError, match="64 x 64 pixels of 1 tiles is without cropland"):
        patches_without_cropland([tile(1, slice(0, 256))])


def test_empty_blocks_hold_no_cropland_and_other_blocks_whole_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mosaic, "BLOCK", 256)
    empty = np.array([[True, False], [False, True]])
    labels = write_mosaic(tmp_path / "mosaic.tif", [tile(0, slice(0, 100))], empty)
    assert labels.shape == (512, 512)
    assert not labels[:256, :256].any()
    assert not labels[256:, 256:].any()
    assert labels[:256, 256:].sum() == labels[256:, :256].sum() == 100 * 256
    with rasterio.open(tmp_path / "mosaic.tif") as dataset:
        pixels = dataset.read()
    np.testing.assert_array_equal(pixels[:, :64, :64], pixels[:, :64, 64:128][:, :, ::-1])
    assert (pixels[2][labels == 1] > 4000).mean() > 0.99


def test_the_risk_over_splits_counts_cropland_in_screened_cells() -> None:
    tiles = [tile(number, slice(0, 128)) for number in range(9)]
    seen = split_risk(green_screener(), tiles, splits=20)
    assert (seen.splits, seen.loss, seen.coverage) == (20, 0.0, 1.0)
    assert seen.screened > 0.3
    # The cropland of another tile looks like bare ground. If this tile is among the tested ones, its cropland is lost.
    tiles.append(Tile(tile(10, slice(0, 0)).image, tile(9, slice(0, 128)).mask))
    blind = split_risk(green_screener(alpha=0.6), tiles, splits=20)
    assert 0 < blind.loss < 0.2
    assert blind.coverage == 1.0
