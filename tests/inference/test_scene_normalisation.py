"""Maps of a model that normalises each scene by its own statistics."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.inference.compute.predictor import Predictor
from seg.inference.planning.fitting import fit_scene
from seg.inference.planning.plan import Plan
from seg.inference.scene import predict_scene
from seg.inference.settings import PredictionSettings

MakePredictor = Callable[..., Predictor]
BY_SCENE = {
    # The probabilities of the test model vary if images have these means.
    "architecture": {"name": "segmenter", "arguments": {"normalisation": "scene"}},
    "mean": (2000.0, 2000.0, 2000.0),
}


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


def mapped(scene: Path, predictor: Predictor, folder: Path, **settings: object) -> bytes:
    """Bytes of the probability map, without its tags."""
    maps = predict_scene(scene, folder / "map.tif", predictor, PredictionSettings(**settings), silent)
    with rasterio.open(maps.probability) as dataset:
        return dataset.read().tobytes()


@pytest.fixture
def rescaled(make_scene: Callable[..., Path]) -> Callable[[Path], Path]:
    """Function that copies a scene with other gains and offsets in each band, as float32."""

    def copy(scene: Path) -> Path:
        other = scene.with_name("other.tif")
        with rasterio.open(scene) as source:
            changed = source.read() * np.array([1e-4, 3e-4, 2e-4])[:, None, None] + 0.25
            with rasterio.open(other, "w", **(source.profile | {"dtype": "float32"})) as target:
                target.write(changed.astype(np.float32))
        return other

    return copy


def test_a_scene_in_other_units_gets_the_same_map(
    make_scene: Callable[..., Path],
    make_predictor: MakePredictor,
    rescaled: Callable[[Path], Path],
    tmp_path: Path,
) -> None:
    scene, predictor = make_scene(120, 150), make_predictor(**BY_SCENE)
    plain, other = (
        np.frombuffer(mapped(path, predictor, tmp_path), np.uint8).astype(int) for path in (scene, rescaled(scene))
    )
    assert np.unique(plain).size > 50
    assert np.abs(plain - other).max() <= 1


def test_the_map_does_not_depend_on_blocks_or_area(
    make_scene: Callable[..., Path], make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, predictor = make_scene(120, 150), make_predictor(**BY_SCENE)
    maps = [mapped(scene, predictor, tmp_path, block_size=size, halo="receptive-field") for size in (64, 72)]
    assert maps[0] == maps[1]


def test_the_identity_holds_the_statistics_of_the_scene(
    make_scene: Callable[..., Path], make_predictor: MakePredictor
) -> None:
    scene = make_scene(40, 50)
    with rasterio.open(scene) as dataset:
        means = dataset.read().mean(axis=(1, 2))
    identity = fit_scene(scene, make_predictor(**BY_SCENE), PredictionSettings()).identity
    assert identity.scene_mean == pytest.approx(means)
    assert fit_scene(scene, make_predictor(), PredictionSettings()).identity.scene_mean is None


def test_a_model_is_not_computed_without_the_statistics_of_the_scene(make_predictor: MakePredictor) -> None:
    with pytest.raises(ValueError, match="no statistics of the scene"):
        make_predictor(**BY_SCENE).probability(np.zeros((3, 16, 16), np.float32))
