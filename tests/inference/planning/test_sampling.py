from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.inference.compute.predictor import Predictor
from seg.inference.planning.halo import SAMPLES, samples_within, sensitive_samples
from seg.inference.reading import BlockReader
from seg.raster.chips import Reading
from seg.raster.grid import read_grid

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]

READER = BlockReader(Reading([1, 2, 3], [0.0, 0.0, 0.0], nodata=0))


@pytest.mark.parametrize("shape", [(5, 300), (130, 700), (148, 148), (1500, 1100)])
def test_samples_are_places_of_the_scene_with_the_context_there_is(
    make_scene: MakeScene, make_predictor: MakePredictor, shape: tuple[int, int]
) -> None:
    grid, predictor = read_grid(make_scene(*shape)), make_predictor()
    samples = list(sensitive_samples(grid, READER, predictor, limit=24))
    core = min(128, -(-max(shape) // 16) * 8)
    assert len(samples) == min(SAMPLES, -(-shape[0] // core) * -(-shape[1] // core))
    with rasterio.open(grid.path) as dataset:
        pixels = dataset.read()
    for sample in samples:
        core = sample.image[(slice(None), *sample.core)]
        assert core.shape[1:] == sample.valid.shape
        row, column = np.argwhere(pixels[0] == sample.image[0, 0, 0])[0] if shape[0] == 5 else (None, None)
        for axis, span in enumerate(sample.core):
            before, after = span.start, sample.image.shape[axis + 1] - span.stop
            assert before in {0, 24}
            assert after <= 24
        if row is not None:
            height, width = sample.image.shape[1:]
            np.testing.assert_array_equal(sample.image, pixels[:, row : row + height, column : column + width])


def test_places_where_the_model_is_unsure_come_first(
    make_scene: MakeScene, make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, scene = make_predictor(), make_scene(1280, 1280)
    with rasterio.open(scene, "r+") as dataset:
        sure = np.full((3, 1280, 1280), 2000, np.uint16)
        sure[:, 512:768, 768:1024] = 1000
        dataset.write(sure)

    def probability(image: np.ndarray) -> np.ndarray:
        return np.where(image[0] == 1000, np.float32(0.5), np.float32(0.99))

    monkeypatch.setattr(predictor, "probability", probability)
    (sample,) = sensitive_samples(read_grid(scene), READER, predictor, limit=64, most=1)
    assert (sample.image[(0, *sample.core)] == 1000).all()


def test_a_scene_without_data_has_no_places(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    scene = make_scene(300, 300)
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 300, 300), np.uint16))
    assert list(sensitive_samples(read_grid(scene), READER, make_predictor(), limit=24)) == []


def test_samples_get_as_many_pixels_as_they_may_cost() -> None:
    looking, each = 64 * 64**2, (200 + 2 * 100) ** 2 + 200**2
    assert samples_within(looking + 3 * each, alignment=8, limit=100) == 3
    assert samples_within(looking + 3 * each - 1, alignment=8, limit=100) == 2
    assert samples_within(1000, alignment=8, limit=100) == 0
    assert samples_within(1e12, alignment=8, limit=100) == SAMPLES
