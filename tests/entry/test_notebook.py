import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import rasterio

import seg
from seg.entry.notebook import MapSettings, Model, Scores
from seg.errors import ConfigError, DatasetError, PackageError, RasterError
from seg.evaluation.counts.confusion import ConfusionCounts
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.labels import IGNORE
from support.packages import copy_by_scene

WriteRaster = Callable[..., Path]


@pytest.fixture
def scene(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """A scene of 3 bands for the model of these tests, with nodata in one corner."""
    pixels = np.random.default_rng(0).normal(100, 10, (3, 40, 56)).astype(np.float32)
    pixels[1, :5, :7] = -1
    return write_raster(tmp_path / "scene.tif", pixels, nodata=-1)


def read_masked(path: Path) -> np.ma.MaskedArray:
    with rasterio.open(path) as dataset:
        return dataset.read(masked=True)


def test_importing_the_package_imports_no_other_library() -> None:
    code = "import seg, sys; print([name for name in sys.modules if name.startswith(('seg.', 'numpy', 'torch'))])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_offered_name_exists_and_is_listed() -> None:
    assert all(getattr(seg, name) is not None for name in seg.__all__)
    assert set(seg.__all__) <= set(dir(seg))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_modle'"):
        seg.load_modle  # noqa: B018


def test_model_has_bands_pixel_size_and_threshold(model: Path) -> None:
    loaded = seg.load_model(model)
    assert loaded.bands == (1, 2, 3)
    assert loaded.band_names == ("red", "green", "blue")
    assert loaded.pixel_size == 10.0
    assert loaded.threshold == 0.5
    assert "red, green, blue" in repr(loaded)


def test_folder_without_a_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="no such file"):
        seg.load_model(str(tmp_path))


def test_map_holds_the_probability_of_the_array(model: Path, scene: Path, tmp_path: Path) -> None:
    loaded = seg.load_model(model)
    probability = loaded.probability(read_masked(scene))
    maps = loaded.map(str(scene), tmp_path / "map.tif", block_size=32)
    percent = read_masked(maps.probability)[0]
    assert probability.dtype == np.float32
    assert probability.shape == (40, 56)
    np.testing.assert_array_equal(np.isnan(probability), np.ma.getmaskarray(percent))
    np.testing.assert_allclose(percent.compressed() / 100, probability[~percent.mask], atol=0.0051)


@pytest.mark.parametrize("missing", ["NaN", "masked", "nodata"])
def test_probability_is_nan_where_any_band_lacks_data(
    model: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = seg.load_model(model)
    image = np.ma.array(np.full((3, 8, 9), 100.0), mask=False)
    if missing == "masked":
        image[1, 2, 3] = np.ma.masked
    elif missing == "NaN":
        image[1, 2, 3] = np.nan
    else:
        object.__setattr__(loaded.package, "nodata", -9.0)
        image[1, 2, 3] = -9.0
    empty = np.isnan(loaded.probability(image))
    assert np.argwhere(empty).tolist() == [[2, 3]]


def test_pixels_without_data_affect_their_neighbours_as_if_they_held_the_mean_of_training(model: Path) -> None:
    loaded = seg.load_model(model)
    image = np.random.default_rng(1).normal(100, 10, (3, 24, 24))
    image[:, 4, 4] = np.nan
    filled = np.nan_to_num(image, nan=100.0)  # the model's mean
    kept = ~np.isnan(image[0])
    np.testing.assert_array_equal(loaded.probability(image)[kept], loaded.probability(filled)[kept])


def test_an_array_is_the_scene_of_a_model_that_normalises_scenes(model: Path, scene: Path, tmp_path: Path) -> None:
    loaded = Model(copy_by_scene(model, tmp_path / "by_scene"), ComputeSettings(backend="torch", device="cpu"))
    image = read_masked(scene).filled(np.nan)
    probability = loaded.probability(image)
    np.testing.assert_allclose(loaded.probability(image / 10_000 - 0.1), probability, atol=1e-4)
    percent = read_masked(loaded.map(scene, tmp_path / "map.tif").probability)[0]
    np.testing.assert_allclose(percent.compressed() / 100, probability[~percent.mask], atol=0.0061)


def test_augmented_probability_is_the_mean_of_its_views(model: Path) -> None:
    loaded = seg.load_model(model)
    image = np.random.default_rng(2).normal(100, 10, (3, 16, 16)).astype(np.float32)
    flips = seg.TestTimeAugmentation(dihedral=["identity", "flip_horizontal"])
    plain, mirrored = loaded.probability(image), loaded.probability(image[:, :, ::-1])[:, ::-1]
    np.testing.assert_allclose(loaded.probability(image, tta=flips), (plain + mirrored) / 2, atol=1e-6)


@pytest.mark.parametrize(
    "image",
    [np.zeros((2, 8, 8)), np.zeros((8, 8)), np.zeros((3, 0, 8)), np.full((3, 8, 8), "x"), np.zeros((3, 8, 8), complex)],
)
def test_array_that_does_not_fit_the_model_is_refused(model: Path, image: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"wanted real numbers of shape \(3, height, width\)"):
        seg.load_model(model).probability(image)


def test_mistyped_setting_of_a_map_names_the_nearest_setting(model: Path, scene: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'blok_size'.*nearest known key is 'block_size'"):
        seg.load_model(model).map(scene, tmp_path / "map.tif", blok_size=64)  # type: ignore[call-arg]


def test_a_map_accepts_every_setting_of_a_prediction_except_existing() -> None:
    wanted = get_type_hints(PredictionSettings)
    del wanted["existing"]
    assert get_type_hints(MapSettings) == wanted


def test_map_includes_uncertainty_on_request(model: Path, scene: Path, tmp_path: Path) -> None:
    turned = seg.TestTimeAugmentation(dihedral=True)
    maps = seg.load_model(model).map(scene, tmp_path / "map.tif", tta=turned, uncertainty=True)
    assert maps.uncertainty is not None
    assert read_masked(maps.uncertainty).max() > 0


def test_files_and_arrays_get_the_same_scores(write_raster: WriteRaster, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    mapped, labels = (random.choice([0, 1, IGNORE], (20, 30), p=[0.5, 0.4, 0.1]).astype(np.uint8) for _ in range(2))
    paths = [write_raster(tmp_path / name, pixels) for name, pixels in (("map.tif", mapped), ("mask.tif", labels))]
    scores = seg.evaluate(*paths)
    both = (mapped != IGNORE) & (labels != IGNORE)
    tp = np.count_nonzero((mapped == 1) & (labels == 1))
    assert scores == seg.evaluate(mapped, labels)
    assert scores.compared == np.count_nonzero(both)
    assert scores.iou == pytest.approx(tp / np.count_nonzero(both & ((mapped == 1) | (labels == 1))))


def test_only_the_given_fold_is_compared(write_raster: WriteRaster, tmp_path: Path) -> None:
    mapped, labels = np.ones((8, 8), np.uint8), np.ones((8, 8), np.uint8)
    labels[:4] = 0
    folds = (np.arange(64).reshape(8, 8) >= 32).astype(np.uint8)
    paths = [
        write_raster(tmp_path / f"{name}.tif", pixels)
        for name, pixels in (("map", mapped), ("mask", labels), ("folds", folds))
    ]
    assert seg.evaluate(paths[0], paths[1]).iou == 0.5
    assert seg.evaluate(paths[0], paths[1], folds=paths[2], fold=1).iou == 1.0


def test_map_of_booleans_is_a_class_map() -> None:
    mapped = np.array([[True, False], [True, False]])
    scores = seg.evaluate(mapped, np.array([[1, 0], [0, 0]]))
    assert (scores.precision, scores.recall) == (0.5, 1.0)


def test_undefined_score_is_none() -> None:
    nothing = np.full((2, 2), IGNORE, np.uint8)
    assert seg.evaluate(nothing, nothing) == Scores(None, None, None, None, None, None, None, 0)


def test_scores_of_a_notebook_equal_the_scores_of_the_confusion_counts() -> None:
    counts = ConfusionCounts(5, 3, 2, 7)
    assert {field.name for field in fields(Scores)} == {*counts.scores(), "compared"}
    assert {**counts.scores(), "compared": 17} == vars(Scores.from_counts(counts))


@pytest.mark.parametrize(
    ("mapped", "labels", "problem"),
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), "has the shape"),
        (np.zeros((2, 2)), np.zeros((2, 2), int), "prediction has type float64"),
        (np.zeros((2, 2), int), np.full((2, 2), 7), r"reference has the values \[7\]"),
        (np.zeros((2, 2), int), "mask.tif", "an array and a file"),
    ],
)
def test_arrays_that_cannot_be_compared_are_refused(mapped: object, labels: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        seg.evaluate(mapped, labels)  # type: ignore[arg-type]


def test_a_fold_is_refused_for_arrays() -> None:
    with pytest.raises(ConfigError, match="has arrays and a fold"):
        seg.evaluate(np.zeros((2, 2), int), np.zeros((2, 2), int), fold=1)


def test_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=r"map\.tif"):
        seg.evaluate(tmp_path / "map.tif", str(tmp_path / "mask.tif"))


def test_dataset_contains_scenes_with_their_labels(make_dataset: Callable[..., Path], tmp_path: Path) -> None:
    dataset = seg.read_dataset(str(make_dataset(tmp_path, sizes=((16, 18), (12, 14)), bands=3)))
    scenes = list(dataset)
    assert [scene.name for scene in scenes] == ["scene_0", "scene_1"]
    assert [scene.fold for scene in scenes] == [0, 1]
    assert [scene.image.shape for scene in scenes] == [(3, 16, 18), (3, 12, 14)]
    empty = np.isnan(scenes[0].image).all(axis=0)
    assert np.argwhere(empty).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert (scenes[0].mask[empty] == IGNORE).all()
    assert len(dataset) == 2
    with pytest.raises(IndexError):
        dataset[2]


def test_dataset_is_read_in_the_given_bands(write_raster: WriteRaster, tmp_path: Path) -> None:
    pixels = np.arange(3 * 4 * 4, dtype=np.uint16).reshape(3, 4, 4)
    write_raster(tmp_path / "images" / "a.tif", pixels, descriptions=("red", "green", "nir"))
    write_raster(tmp_path / "masks" / "a.tif", np.zeros((4, 4), np.uint8))
    dataset = seg.read_dataset(tmp_path, bands=["nir", "red"], nodata=0)
    assert (dataset.bands, dataset.band_names) == ((3, 1), ("nir", "red"))
    np.testing.assert_array_equal(dataset[0].image[0, 1], pixels[2, 1])
    assert np.isnan(dataset[0].image[:, 0, 0]).all()


def test_folder_without_a_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="images"):
        seg.read_dataset(tmp_path)
