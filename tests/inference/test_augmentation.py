from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.errors import ConfigError
from seg.inference.augmentation import TestTimeAugmentation, View, resize_bilinear, views


def test_dihedral_views_of_one_scale_are_all_different() -> None:
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    seen = {
        view.apply(image).tobytes() + bytes(view.apply(image).shape)
        for view in views(TestTimeAugmentation((1.0,), True))
    }
    assert len(seen) == 8


@given(st.integers(0, 3), st.booleans(), st.integers(1, 9), st.integers(1, 9))
def test_a_view_is_undone_exactly(turns: int, flip: bool, height: int, width: int) -> None:
    image = np.random.default_rng(0).random((1, height, width), dtype=np.float32)
    view = View(Fraction(1), turns, flip)
    np.testing.assert_array_equal(view.undo(view.apply(image)[0]), image[0])


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.25, 2.0])
def test_a_scaled_view_returns_to_the_size_of_the_image(scale: float) -> None:
    (view,) = views(TestTimeAugmentation((scale,)))
    image = np.random.default_rng(0).random((2, 16, 24), dtype=np.float32)
    assert view.apply(image).shape == (2, 16 * scale, 24 * scale)
    assert view.undo(view.apply(image)[0]).shape == (16, 24)


def test_a_smooth_image_survives_scaling_and_back() -> None:
    ramp = np.linspace(0, 1, 40, dtype=np.float32)[None, :, None].repeat(40, 2)
    (view,) = views(TestTimeAugmentation((0.75,)))
    np.testing.assert_allclose(view.undo(view.apply(ramp)[0])[4:-4], ramp[0, 4:-4], atol=1e-6)


def test_resampling_does_not_depend_on_where_the_window_lies() -> None:
    image = np.random.default_rng(0).random((1, 4, 4000), dtype=np.float32)
    whole = resize_bilinear(image, 3, 3000)
    window = resize_bilinear(image[..., 3200:3600], 3, 300)
    np.testing.assert_allclose(window[..., 2:-2], whole[..., 2402:2698], atol=1e-6)


def test_resampling_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(0).random((3, 13, 17), dtype=np.float32)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(image)[None], (29, 8), mode="bilinear")[0].numpy()
    np.testing.assert_allclose(resize_bilinear(image, 29, 8), wanted, atol=1e-5)


@pytest.mark.parametrize(("scales", "wanted"), [((1.0,), 16), ((0.75, 1.0, 1.25), 64), ((0.9,), 160)])
def test_alignment_keeps_every_scale_on_whole_strides(scales: tuple[float, ...], wanted: int) -> None:
    augmentation = TestTimeAugmentation(scales)
    assert augmentation.alignment(16) == wanted
    assert all(wanted * scale % 16 == 0 for scale in augmentation.fractions)


@pytest.mark.parametrize("scales", [(), (0.0,), (-1.0,), (100.0,)])
def test_impossible_scales_are_refused(scales: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=r"tta\.scales"):
        _ = TestTimeAugmentation(scales).fractions
