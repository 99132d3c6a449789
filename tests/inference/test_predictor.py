from collections.abc import Callable

import numpy as np
import pytest

from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.predictor import Predictor


def image_of(height: int, width: int) -> np.ndarray:
    generator = np.random.default_rng(3)
    return generator.normal(2000, 300, size=(3, height, width)).astype(np.float32)


class Spy:
    """A backend that remembers its images, and how many are under way at once; gives the first band times a factor."""

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


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (50, 70)])
def test_probability_has_the_size_of_the_image(make_predictor: Callable[..., Predictor], size: tuple[int, int]) -> None:
    probability = make_predictor(scales=(0.75, 1.0), dihedral=True).probability(image_of(*size))
    assert probability.shape == size
    assert probability.dtype == np.float32
    assert 0 <= probability.min() <= probability.max() <= 1


def test_dihedral_average_turns_with_the_image(make_predictor: Callable[..., Predictor]) -> None:
    predictor, image = make_predictor(dihedral=True), image_of(64, 64)
    turned = predictor.probability(np.ascontiguousarray(np.rot90(image, axes=(1, 2))))
    np.testing.assert_allclose(turned, np.rot90(predictor.probability(image)), atol=1e-5)


def test_plain_prediction_does_not_turn_with_the_image(make_predictor: Callable[..., Predictor]) -> None:
    predictor, image = make_predictor(), image_of(64, 64)
    turned = predictor.probability(np.ascontiguousarray(np.rot90(image, axes=(1, 2))))
    assert np.abs(turned - np.rot90(predictor.probability(image))).max() > 1e-2


def test_scales_are_averaged_in_probability(make_predictor: Callable[..., Predictor]) -> None:
    image = image_of(64, 96)
    parts = [make_predictor(scales=(scale,)).probability(image) for scale in (0.5, 1.0)]
    np.testing.assert_allclose(make_predictor(scales=(0.5, 1.0)).probability(image), sum(parts) / 2, atol=1e-6)


def test_receptive_field_grows_for_smaller_scales(make_predictor: Callable[..., Predictor]) -> None:
    plain, half = make_predictor(), make_predictor(scales=(0.5, 1.0))
    assert half.receptive_field >= 2 * plain.package.receptive_field
    assert plain.receptive_field % plain.alignment == 0


def test_backend_sees_only_aligned_sizes_filled_with_the_mean(make_predictor: Callable[..., Predictor]) -> None:
    package = make_predictor().package
    spy = Spy()
    Predictor(spy, package, TestTimeAugmentation()).probability(np.zeros((3, 9, 17), np.float32))
    assert [image.shape for image in spy.seen] == [(3, 16, 24)]
    assert spy.seen[0][:, 9:, :].mean(axis=(1, 2)).tolist() == pytest.approx(package.mean)


@pytest.mark.parametrize("ahead", [0, 1])
def test_views_are_started_ahead_as_far_as_the_backend_wants(
    make_predictor: Callable[..., Predictor], ahead: int
) -> None:
    package, spy = make_predictor().package, Spy(ahead)
    image = image_of(24, 16)
    mean = Predictor(spy, package, TestTimeAugmentation(dihedral=True)).probability(image)
    assert (len(spy.seen), spy.most, spy.under_way) == (8, ahead + 1, 0)
    np.testing.assert_allclose(mean, image[0] * 1e-4, atol=1e-6)
