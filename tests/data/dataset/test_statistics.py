import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.data.datamodule import CroplandDataModule
from seg.data.dataset.statistics import CACHE, DatasetStatistics, Selection, dataset_statistics
from seg.data.settings import SplitRule
from seg.data.splitting.run import split_dataset
from seg.errors import DatasetError

MakeDataset = Callable[..., Path]
WriteRaster = Callable[..., Path]


@pytest.fixture
def root(make_dataset: MakeDataset, tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


def statistics(root: Path, fold: int | None = 0) -> DatasetStatistics:
    return dataset_statistics(root, Selection(fold=fold))


def cache(root: Path) -> list[Path]:
    return sorted((root / CACHE).iterdir())


def training_pixels(root: Path) -> np.ndarray:
    """Valid pixels of all scenes except the first, (3, N)."""
    images = []
    for number in range(1, 5):
        with rasterio.open(root / "images" / f"scene_{number}.tif") as dataset:
            image = dataset.read()
        images.append(image[:, (image != 0).all(axis=0)])
    return np.concatenate(images, axis=1).astype(np.float64)


def test_percentiles_use_only_the_valid_training_pixels(root: Path) -> None:
    found = statistics(root)
    wanted = np.percentile(training_pixels(root), [2, 98], axis=1)
    np.testing.assert_allclose([found.percentiles.low, found.percentiles.high], wanted, rtol=1e-12)
    assert found.percentiles.error == (0, 0, 0)
    assert found.scenes == 4


def test_percentiles_of_float_images_have_an_error_bound(root: Path, write_raster: WriteRaster) -> None:
    exact = statistics(root).percentiles
    path = root / "images" / "scene_2.tif"
    with rasterio.open(path) as dataset:
        pixels, transform = dataset.read(), dataset.transform
    write_raster(path, pixels.astype(np.float32), transform=transform, nodata=0)
    found = statistics(root).percentiles
    assert all(0 < error < 0.1 for error in found.error)
    assert (np.abs(np.subtract(found.low, exact.low)) <= found.error).all()


def test_cached_statistics_are_bit_identical(root: Path) -> None:
    first = statistics(root)
    [file] = cache(root)
    held = json.loads(file.read_text())
    assert statistics(root) == first
    held["bands"]["mean"][0] = 1.5
    file.write_text(json.dumps(held))
    assert statistics(root).bands.mean[0] == 1.5


def test_training_reads_equal_statistics_from_the_cache(root: Path) -> None:
    computed = CroplandDataModule(root=root).statistics
    assert not (root / CACHE).exists()
    assert statistics(root).bands == computed
    [file] = cache(root)
    assert CroplandDataModule(root=root).statistics == computed
    file.write_text(file.read_text().replace(str(computed.count), "77"))
    assert CroplandDataModule(root=root).statistics.count == 77
    assert CroplandDataModule(root=root, fold=1).statistics.count not in (77, computed.count)
    assert CroplandDataModule(root=root, nodata=9).statistics.count == computed.count
    assert CroplandDataModule(root=root, bands=[1]).statistics.count == computed.count


def test_the_cache_is_found_by_any_path_of_the_dataset(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statistics(root)
    monkeypatch.chdir(root.parent)
    statistics(Path("data"))
    assert len(cache(root)) == 1


def test_a_changed_image_invalidates_the_cache(root: Path) -> None:
    statistics(root)
    path = root / "images" / "scene_3.tif"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    statistics(root)
    assert len(cache(root)) == 2


def test_a_changed_image_of_the_held_out_fold_keeps_the_cache(root: Path) -> None:
    statistics(root)
    os.utime(root / "images" / "scene_0.tif", ns=(0, 0))
    statistics(root)
    assert len(cache(root)) == 1


def test_a_changed_source_of_blocks_invalidates_the_cache(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    split_dataset(root, out, SplitRule(by="blocks", block_size_m=80, guard_m=10))
    statistics(out)
    os.utime(root / "images" / "scene_3.tif", ns=(0, 0))
    statistics(out)
    assert len(cache(out)) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"bands": 3}'])
def test_a_damaged_cache_is_computed_again(root: Path, text: str) -> None:
    first = statistics(root)
    cache(root)[0].write_text(text)
    assert CroplandDataModule(root=root).statistics == first.bands
    assert statistics(root) == first


def test_a_read_only_dataset_works_without_a_cache(root: Path) -> None:
    (root / CACHE).write_text("a file, so no folder can be made")
    assert statistics(root) == statistics(root)


def test_without_a_fold_all_scenes_count(root: Path) -> None:
    assert statistics(root, fold=None).scenes == 5


@pytest.mark.parametrize("fold", [5, -1])
def test_an_unknown_fold_is_refused(root: Path, fold: int) -> None:
    with pytest.raises(DatasetError, match=f"has no training scene with fold {fold} of 5 held out"):
        statistics(root, fold)


def test_a_missing_band_is_refused(root: Path) -> None:
    with pytest.raises(DatasetError, match="has 3 bands, but band 4 is wanted"):
        dataset_statistics(root, Selection(bands=[4]))
