from pathlib import Path

import numpy as np

from seg.benchmark.inference.packages import (
    MEAN,
    STD,
    write_pointwise,
)
from seg.benchmark.subjects import BANDS
from seg.inference.command import load_predictor
from seg.inference.settings import ComputeSettings, PredictionSettings

ONNX = ComputeSettings(backend="onnx", threads=1)


def test_the_pointwise_model_computes_pixels_independently(tmp_path: Path) -> None:
    write_pointwise(tmp_path / "model")
    predictor = load_predictor([tmp_path / "model"], PredictionSettings(), ONNX)
    image = np.full((BANDS, 3, 5), MEAN, np.float32)
    image[:, 1, 2] += STD
    probability = predictor.probability(image)
    assert predictor.receptive_field == 0
    np.testing.assert_allclose(probability[1, 2], 1 / (1 + np.exp(-1)), atol=1e-5)
    np.testing.assert_allclose(np.delete(probability.ravel(), 7), 0.5, atol=1e-5)


def test_a_random_network_becomes_a_package_that_predicts(random_package: Path) -> None:
    predictor = load_predictor([random_package], PredictionSettings(), ONNX)
    image = np.random.default_rng(0).normal(MEAN, STD, (BANDS, 64, 64)).astype(np.float32)
    probability = predictor.probability(image)
    assert probability.shape == (64, 64)
    assert probability.std() > 0
