from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seg.errors import ConfigError
from seg.inference.augmentation import DIHEDRAL, TestTimeAugmentation
from seg.inference.compute.member import Member
from seg.inference.compute.predictor import Predictor, RunningEstimate
from seg.package.description import ModelPackage
from seg.raster.windows import plan_blocks, round_up

MakePredictor = Callable[..., Predictor]

SCALES = [0.5, 0.75, 1.0, 1.25, 1.5, 2.0]


def image_of(height: int, width: int) -> np.ndarray:
    generator = np.random.default_rng(3)
    return generator.normal(2000, 300, size=(3, height, width)).astype(np.float32)


class Spy:
    """A backend that records its images and the number of pending images; it returns the first band times a factor."""

    name = "spy"

    def __init__(self, ahead: int = 0) -> None:
        self.ahead = ahead
        self.seen: list[np.ndarray] = []
        self.under_way = self.most = 0

    def start(self, image: np.ndarray) -> Callable[[], np.ndarray]:
        self.seen.append(image)
        self.under_way += 1
        self.most = max(self.most, self.under_way)

        def wait() -> np.ndarray:
            self.under_way -= 1
            return image[0] * np.float32(1e-4)

        return wait


class Neighbours:
    """A backend with a receptive field of 4 pixels; like a network, it depends on the phase of its stride."""

    name = "neighbours"
    ahead = 0

    def __init__(self) -> None:
        self.phase = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
        self.kernel = np.random.default_rng(1).normal(size=(2, 9)).astype(np.float32) / 3

    def start(self, image: np.ndarray) -> Callable[[], np.ndarray]:
        _, height, width = image.shape
        assert height % 4 == width % 4 == 0
        normal = np.pad((image[0] - 2000) / 300, 4)
        down = sum(weight * normal[shift : shift + height] for shift, weight in enumerate(self.kernel[0]))
        across = sum(weight * down[:, shift : shift + width] for shift, weight in enumerate(self.kernel[1]))
        logits = across + np.tile(self.phase, (height // 4, width // 4))
        probability = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return lambda: probability


def neighbours(package: ModelPackage, augmentation: TestTimeAugmentation, uncertainty: bool = False) -> Predictor:
    described = replace(package, stride=4, receptive_field=4, mean=(2000.0,) * 3)
    return Predictor([Member(Neighbours(), described)], augmentation, uncertainty)


def in_blocks(predictor: Predictor, image: np.ndarray, size: int) -> np.ndarray:
    """Probability and, if computed, deviation, assembled from blocks whose halo is the receptive field."""
    pieces = np.full((1 + predictor.uncertainty, *image.shape[1:]), np.nan, np.float32)
    for block in plan_blocks(*image.shape[1:], size, predictor.receptive_field):
        estimate = predictor.start(image[(slice(None), *block.read.toslices())])().within(block.core_within_read)
        pieces[(slice(None), *block.core.toslices())] = [layer for layer in estimate if layer is not None]
    return pieces


@given(
    scales=st.lists(st.sampled_from(SCALES), min_size=1, max_size=3, unique=True),
    names=st.lists(st.sampled_from(list(DIHEDRAL)), min_size=1, max_size=3, unique=True),
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    parts=st.integers(2, 4),
)
@settings(deadline=None, max_examples=80)
def test_no_view_has_seams_at_any_block_size(
    tiny_package: ModelPackage, scales: list[float], names: list[str], height: int, width: int, parts: int
) -> None:
    predictor = neighbours(tiny_package, TestTimeAugmentation(tuple(scales), names), len(scales) * len(names) > 1)
    image = image_of(height, width)
    whole = predictor.start(image)()
    cut = in_blocks(predictor, image, round_up(max(height, width) // parts + 1, predictor.alignment))
    np.testing.assert_allclose(cut[0], whole.probability, atol=1e-5)
    if whole.deviation is not None:
        np.testing.assert_allclose(cut[1], whole.deviation, atol=1e-5)


def test_a_halo_below_the_receptive_field_leaves_seams(tiny_package: ModelPackage) -> None:
    predictor = neighbours(tiny_package, TestTimeAugmentation((0.5,)))
    image = image_of(80, 80)
    whole, halo = predictor.probability(image), predictor.receptive_field - predictor.alignment
    core = predictor.probability(image[:, : 40 + halo, : 40 + halo])[:40, :40]
    assert np.abs(core - whole[:40, :40]).max() > 1e-3


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (50, 70)])
def test_probability_has_the_size_of_the_image(make_predictor: MakePredictor, size: tuple[int, int]) -> None:
    probability = make_predictor(scales=(0.75, 1.0), dihedral=True).probability(image_of(*size))
    assert probability.shape == size
    assert probability.dtype == np.float32
    assert 0 <= probability.min() <= probability.max() <= 1


def test_dihedral_average_turns_with_the_image(make_predictor: MakePredictor) -> None:
    predictor, image = make_predictor(dihedral=True), image_of(64, 64)
    turned = predictor.probability(np.ascontiguousarray(np.rot90(image, axes=(1, 2))))
    np.testing.assert_allclose(turned, np.rot90(predictor.probability(image)), atol=1e-5)


def test_without_test_time_augmentation_the_prediction_does_not_turn_with_the_image(
    make_predictor: MakePredictor,
) -> None:
    predictor, image = make_predictor(), image_of(64, 64)
    turned = predictor.probability(np.ascontiguousarray(np.rot90(image, axes=(1, 2))))
    assert np.abs(turned - np.rot90(predictor.probability(image))).max() > 1e-2


@pytest.mark.parametrize("size", [(64, 96), (51, 87)])
def test_views_are_averaged_in_probability(make_predictor: MakePredictor, size: tuple[int, int]) -> None:
    image = image_of(*size)
    alone = [
        make_predictor((scale,), [name]).probability(image) for scale in (0.5, 1.0) for name in ("rot90", "transpose")
    ]
    together = make_predictor((0.5, 1.0), ["rot90", "transpose"], uncertainty=True).start(image)()
    np.testing.assert_allclose(together.probability, np.mean(alone, axis=0), atol=1e-6)
    np.testing.assert_allclose(together.deviation, np.std(alone, axis=0), atol=1e-6)


def test_receptive_field_grows_for_smaller_scales(make_predictor: MakePredictor) -> None:
    plain, half = make_predictor(), make_predictor(scales=(0.5, 1.0))
    assert half.receptive_field >= 2 * plain.packages[0].receptive_field
    assert plain.receptive_field % plain.alignment == 0


def test_backend_sees_only_aligned_sizes_filled_with_the_mean(tiny_package: ModelPackage) -> None:
    spy = Spy()
    Predictor([Member(spy, tiny_package)], TestTimeAugmentation()).probability(np.zeros((3, 9, 17), np.float32))
    assert [image.shape for image in spy.seen] == [(3, 16, 24)]
    assert spy.seen[0][:, 9:, :].mean(axis=(1, 2)).tolist() == pytest.approx(tiny_package.mean)


@pytest.mark.parametrize("ahead", [0, 1])
def test_views_are_started_ahead_as_the_backend_requires(tiny_package: ModelPackage, ahead: int) -> None:
    spy, image = Spy(ahead), image_of(24, 16)
    mean = Predictor([Member(spy, tiny_package)], TestTimeAugmentation(dihedral=True)).probability(image)
    assert (len(spy.seen), spy.most, spy.under_way) == (8, ahead + 1, 0)
    np.testing.assert_allclose(mean, image[0] * 1e-4, atol=1e-6)


def test_the_uncertainty_of_a_single_view_of_a_single_model_is_refused(make_predictor: MakePredictor) -> None:
    with pytest.raises(ConfigError, match=r"one view of one model; add --tta\.dihedral"):
        make_predictor(uncertainty=True)
    assert make_predictor(dihedral=["identity", "rot90"], uncertainty=True).views == 2


def estimate_of(probabilities: np.ndarray, deviation: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
    running = RunningEstimate(deviation)
    for probability in probabilities:
        running.add(probability)
    return running.estimate()


@given(st.integers(1, 40), st.integers(0, 1000), st.sampled_from([1.0, 1e-2, 1e-4]))
def test_running_mean_and_deviation_equal_numpy(count: int, seed: int, spread: float) -> None:
    # Around 0.9 with a small spread, the difference of two sums of squares would be rounding noise.
    drawn = 0.9 - spread * 0.9 * np.random.default_rng(seed).random((count, 5, 4), dtype=np.float32)
    mean, deviation = estimate_of(drawn)
    np.testing.assert_allclose(mean, drawn.mean(axis=0, dtype=np.float64), atol=1e-6)
    np.testing.assert_allclose(deviation, drawn.std(axis=0, dtype=np.float64), atol=2e-6)


def test_the_largest_deviation_is_one_half() -> None:
    mean, deviation = estimate_of(np.array([[[0.0]], [[1.0]], [[1.0]], [[0.0]]], np.float32))
    assert (mean.item(), deviation.item()) == (0.5, 0.5)


def test_the_mean_is_the_same_to_the_bit_without_the_deviation() -> None:
    drawn = np.random.default_rng(0).random((7, 9, 8), dtype=np.float32)
    alone, none = estimate_of(drawn, deviation=False)
    assert none is None
    np.testing.assert_array_equal(alone, estimate_of(drawn)[0])


def test_added_probabilities_are_not_modified() -> None:
    drawn = np.random.default_rng(0).random((3, 4, 4), dtype=np.float32)
    before = drawn.copy()
    estimate_of(drawn)
    np.testing.assert_array_equal(drawn, before)


def test_an_estimate_without_any_probability_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        RunningEstimate(False).estimate()
