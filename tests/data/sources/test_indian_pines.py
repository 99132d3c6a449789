import csv
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from seg.data.sources import indian_pines
from seg.data.sources.indian_pines import (
    BANDS,
    CLASSES,
    data_folder,
    read_indian_pines,
    write_indian_pines,
)
from seg.data.splitting.folds import FoldSummary
from seg.data.splitting.irregular_blocks import NO_FOLD
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.grid import read_grid, require_same_grid

FILES = sorted(["README.md", "manifest.csv", "scene.tif", "scene_mask.tif", "scene_folds.tif", "images", "masks"])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[FoldSummary]]:
    output = tmp_path_factory.mktemp("data") / "demo"
    return output, write_indian_pines(output)


@pytest.fixture(scope="module")
def demo(written: tuple[Path, list[FoldSummary]]) -> Path:
    return written[0]


def manifest(demo: Path) -> list[dict[str, str]]:
    with (demo / "manifest.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def offset(path: Path, scene: Path) -> tuple[slice, slice]:
    """Rows and columns of the scene that a block covers according to its georeference."""
    block, whole = read_grid(path), read_grid(scene)
    column, row = ~whole.transform @ (block.transform.c, block.transform.f)
    assert (row % 1, column % 1) == (0.0, 0.0)
    return slice(int(row), int(row) + block.height), slice(int(column), int(column) + block.width)


def test_band_numbering_is_confirmed_by_the_oxygen_dip_at_764_nm() -> None:
    cube = np.load(data_folder() / "Indian_pines_corrected.npy", allow_pickle=False)
    spectrum = cube.reshape(-1, cube.shape[-1]).mean(axis=0)
    index = 39  # channel 40, centre 764.01 nm
    assert spectrum[index] < 0.75 * min(spectrum[index - 1], spectrum[index + 1])


def test_chosen_bands_are_those_of_the_stated_channels() -> None:
    cube = np.load(data_folder() / "Indian_pines_corrected.npy", allow_pickle=False)
    image, _ = read_indian_pines()
    assert list(BANDS) == ["blue", "green", "red", "nir"]
    np.testing.assert_array_equal(image, np.stack([cube[:, :, index] for index in (9, 16, 27, 47)]))


def test_ground_classes_become_the_labels_of_the_table() -> None:
    classes = np.load(data_folder() / "Indian_pines_gt.npy", allow_pickle=False)
    _, mask = read_indian_pines()
    crops = np.isin(classes, [1, 2, 3, 4, 8, 9, 10, 11, 12, 13])
    np.testing.assert_array_equal(mask == CROPLAND, crops)
    np.testing.assert_array_equal(mask == OTHER, np.isin(classes, [5, 6, 7, 14, 15, 16]))
    np.testing.assert_array_equal(mask == IGNORE, classes == 0)
    assert len(CLASSES) == 17


def test_manifest_lists_every_block_in_order_with_relative_paths(demo: Path) -> None:
    rows = manifest(demo)
    assert sorted(path.name for path in demo.iterdir()) == FILES
    assert [row["image"] for row in rows] == sorted(f"images/{path.name}" for path in (demo / "images").iterdir())
    assert [row["mask"] for row in rows] == sorted(f"masks/{path.name}" for path in (demo / "masks").iterdir())
    assert {row["fold"] for row in rows} == set("01234")


def test_blocks_hold_the_scene_pixels_at_their_georeferenced_position(demo: Path) -> None:
    with rasterio.open(demo / "scene.tif") as scene, rasterio.open(demo / "scene_mask.tif") as mask:
        image, labels = scene.read(), mask.read(1)
    for row in manifest(demo):
        rows, columns = offset(demo / row["image"], demo / "scene.tif")
        require_same_grid(read_grid(demo / row["mask"]), read_grid(demo / row["image"]))
        with rasterio.open(demo / row["image"]) as block, rasterio.open(demo / row["mask"]) as block_mask:
            np.testing.assert_array_equal(block.read(), image[:, rows, columns])
            np.testing.assert_array_equal(block_mask.read(1), labels[rows, columns])
            assert block_mask.nodata == IGNORE


def test_the_scene_equals_the_source(demo: Path) -> None:
    image, mask = read_indian_pines()
    with rasterio.open(demo / "scene.tif") as scene, rasterio.open(demo / "scene_mask.tif") as labels:
        np.testing.assert_array_equal(scene.read(), image)
        np.testing.assert_array_equal(labels.read(1), mask)
        assert scene.descriptions == ("blue", "green", "red", "nir")
        assert [scene.tags(band)["WAVELENGTH_NM"] for band in scene.indexes] == ["488.41", "557.49", "666.61", "841.04"]


def test_fold_raster_agrees_with_the_manifest_and_marks_the_guard(demo: Path) -> None:
    with rasterio.open(demo / "scene_folds.tif") as dataset:
        folds = dataset.read(1)
        assert dataset.nodata == NO_FOLD
    require_same_grid(read_grid(demo / "scene_folds.tif"), read_grid(demo / "scene.tif"))
    for row in manifest(demo):
        window = offset(demo / row["image"], demo / "scene.tif")
        assert set(folds[window].ravel()) == {int(row["fold"])}
        folds[window] = NO_FOLD
    assert set(folds.ravel()) == {NO_FOLD}


def test_no_pixel_lies_within_two_pixels_of_another_fold(demo: Path) -> None:
    with rasterio.open(demo / "scene_folds.tif") as dataset:
        folds = dataset.read(1)
    padded = np.pad(folds, 2, constant_values=NO_FOLD)
    around = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    own = folds[:, :, None, None]
    assert not np.any((own != NO_FOLD) & (around != NO_FOLD) & (around != own))


def test_blocks_have_different_sizes_between_24_and_61_pixels(demo: Path) -> None:
    sizes = [(grid.height, grid.width) for grid in (read_grid(demo / row["image"]) for row in manifest(demo))]
    heights, widths = {height for height, _ in sizes}, {width for _, width in sizes}
    assert min(heights | widths) >= 24
    assert max(heights | widths) <= 61
    assert min(len(heights), len(widths)) >= 6
    assert len(set(sizes)) >= 12


def test_every_fold_holds_enough_of_both_classes(written: tuple[Path, list[FoldSummary]]) -> None:
    demo, summaries = written
    with rasterio.open(demo / "scene_folds.tif") as dataset, rasterio.open(demo / "scene_mask.tif") as labels:
        folds, mask = dataset.read(1), labels.read(1)
    assert len(summaries) == 5
    for fold, summary in enumerate(summaries):
        inside = mask[folds == fold]
        assert (summary.labelled, summary.cropland) == (np.sum(inside != IGNORE), np.sum(inside == CROPLAND))
        assert summary.labelled > 1500
        assert 0.6 < summary.cropland_share < 0.8


def test_every_file_states_licence_and_nominal_georeference(demo: Path) -> None:
    paths = sorted(demo.rglob("*.tif"))
    assert len(paths) == 2 * len(manifest(demo)) + 3
    for path in paths:
        with rasterio.open(path) as dataset:
            assert dataset.tags()["GEOREFERENCE"].startswith("nominal: ")
            assert "10.4231/R7RX991C" in dataset.tags()["SOURCE"]
            assert "CC BY 3.0" in dataset.tags()["LICENCE"]
            assert dataset.crs.to_epsg() == 32616
    readme = (demo / "README.md").read_text()
    assert all(words in readme for words in ("georeference is nominal", "10.4231/R7RX991C", "CC BY 3.0", "841.04"))


def test_nominal_place_lies_near_the_site(demo: Path) -> None:
    with rasterio.open(demo / "scene.tif") as scene:
        longitude, latitude = scene.lnglat()
    assert (longitude, latitude) == pytest.approx((-87.0, 40.46), abs=0.01)


def test_two_runs_write_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    write_indian_pines(tmp_path / "again")
    files = [path.relative_to(demo) for path in demo.rglob("*") if path.is_file()]
    assert all((tmp_path / "again" / name).read_bytes() == (demo / name).read_bytes() for name in files)


def test_missing_package_is_an_error_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indian_pines, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match=r'pip install "cropland-seg\[demo\]"'):
        read_indian_pines()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"text", "cannot be read"),
        (
            np.zeros((145, 145, 220), dtype=np.uint16),
            r"has uint16 \(145, 145, 220\); wanted uint16 \(145, 145, 200\)",
        ),
        (np.array([{"not": "data"}]), "cannot be read"),
    ],
)
def test_package_with_other_files_is_refused(
    content: bytes | NDArray[np.generic] | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "Indian_pines_corrected.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    monkeypatch.setattr(indian_pines, "data_folder", lambda: tmp_path)
    with pytest.raises(DatasetError, match=words):
        read_indian_pines()
