from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from seg.evaluation.pairs import FoldSelection, Pair
from seg.evaluation.report.colours import NO_PROBABILITY, STATES
from seg.evaluation.report.layers import open_scene
from seg.evaluation.settings import EvaluationSettings
from seg.labels import CROPLAND, IGNORE, OTHER

WriteRaster = Callable[..., Path]


@pytest.fixture
def pair(write_raster: WriteRaster) -> Pair:
    generator = np.random.default_rng(3)
    classes = np.array([OTHER, CROPLAND, IGNORE], np.uint8)
    return Pair(
        name="a",
        prediction=write_raster("map.tif", generator.choice(classes, (50, 70)), nodata=IGNORE),
        reference=write_raster("mask.tif", generator.choice(classes, (50, 70))),
        probability=write_raster("p.tif", generator.integers(0, 101, (50, 70)).astype(np.uint8), nodata=100),
        image=write_raster("image.tif", generator.integers(0, 1000, (4, 50, 70)).astype(np.uint16)),
    )


def states(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.array(STATES)[codes // 3], np.array(STATES)[codes % 3]


def read(path: Path) -> np.ndarray:
    import rasterio

    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_codes_hold_mapped_and_true_class(pair: Pair) -> None:
    with open_scene(pair, EvaluationSettings()) as scene:
        layers = scene.read(Window(10, 5, 40, 30), (30, 40))
    mapped, labels = states(layers.codes)
    assert (mapped == read(pair.prediction)[5:35, 10:50]).all()
    assert (labels == read(pair.reference)[5:35, 10:50]).all()


@pytest.mark.parametrize("size", [16, 33, 1024])
def test_reduced_layers_do_not_depend_on_the_windows(pair: Pair, size: int) -> None:
    with open_scene(pair, EvaluationSettings(window_size=size)) as scene:
        layers = scene.read(Window(0, 0, 70, 50), (11, 17))
    rows, columns = ((np.arange(parts) + 0.5) * length / parts for length, parts in ((50, 11), (70, 17)))
    picked = np.ix_(rows.astype(int), columns.astype(int))
    assert (states(layers.codes)[0] == read(pair.prediction)[picked]).all()
    expected = read(pair.probability)[picked] if pair.probability else None
    assert layers.probability is not None
    assert (layers.probability == np.where(expected == 100, NO_PROBABILITY, expected)).all()


def test_pixels_outside_of_the_fold_have_no_reference(pair: Pair, write_raster: WriteRaster) -> None:
    folds = np.zeros((50, 70), np.uint8)
    folds[:, 35:] = 1
    within = FoldSelection(write_raster("folds.tif", folds), 1)
    held_out = Pair("a", pair.prediction, pair.reference, within=within)
    with open_scene(held_out, EvaluationSettings()) as scene:
        layers = scene.read(Window(0, 0, 70, 50), (50, 70))
    assert (states(layers.codes)[1][:, :35] == IGNORE).all()
    assert (states(layers.codes)[1][:, 35:] == read(pair.reference)[:, 35:]).all()
    assert layers.probability is None
    assert layers.image is None


def test_image_is_stretched_and_transparent_where_invalid(write_raster: WriteRaster, pair: Pair) -> None:
    values = np.linspace(100, 200, 50 * 70).reshape(50, 70)
    values[0, 0] = np.nan
    image = write_raster("grey.tif", values.astype(np.float32))
    with open_scene(Pair("a", pair.prediction, pair.reference, image=image), EvaluationSettings()) as scene:
        layers = scene.read(Window(0, 0, 70, 50), (50, 70))
        same = scene.read(Window(0, 0, 10, 10), (10, 10), layers.limits)
    assert layers.image is not None
    assert layers.image[0, 0, 3] == 0
    assert (layers.image[1:, :, 3] == 255).all()
    assert layers.image[1, 0, :3].tolist() == [0, 0, 0]
    assert layers.image[-1, -1, :3].tolist() == [255, 255, 255]
    assert np.allclose(layers.limits, [(102, 198)], atol=0.2)
    assert same.image is not None
    assert (same.image == layers.image[:10, :10]).all()
