import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seg.inference.augmentation import resize_bilinear


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 30), st.integers(1, 30))
def test_resampling_agrees_with_numpy_interpolation(height: int, width: int, tall: int, wide: int) -> None:
    image = np.random.default_rng(0).random((2, height, width), dtype=np.float32)
    columns = (np.arange(wide) + 0.5) * width / wide - 0.5
    rows = (np.arange(tall) + 0.5) * height / tall - 0.5
    across = np.apply_along_axis(lambda line: np.interp(columns, np.arange(width), line), 2, image)
    wanted = np.apply_along_axis(lambda line: np.interp(rows, np.arange(height), line), 1, across)
    resized = resize_bilinear(image, tall, wide)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, wanted, atol=1e-6)


def test_resampling_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(0).random((3, 13, 17), dtype=np.float32)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(image)[None], (29, 8), mode="bilinear")[0].numpy()
    np.testing.assert_allclose(resize_bilinear(image, 29, 8), wanted, atol=1e-5)


@pytest.mark.parametrize("scale", [0.5, 0.75, 0.9, 1.25, 1.5, 2.0])
def test_a_window_far_from_the_corner_gives_the_same_bits(scale: float) -> None:
    image = np.random.default_rng(0).random((1, 4000, 40), dtype=np.float32)
    whole = resize_bilinear(image, int(4000 * scale), int(40 * scale))
    window = resize_bilinear(image[:, 3200:3600], int(400 * scale), int(40 * scale))
    start = int(3200 * scale)
    np.testing.assert_array_equal(window[:, 2:-2], whole[:, start + 2 : start + window.shape[1] - 2])


def test_a_smooth_image_survives_scaling_and_back() -> None:
    ramp = np.linspace(0, 1, 40, dtype=np.float32)[None, :, None].repeat(40, 2)
    back = resize_bilinear(resize_bilinear(ramp, 30, 30), 40, 40)
    np.testing.assert_allclose(back[0, 4:-4], ramp[0, 4:-4], atol=1e-6)


def test_an_image_of_that_size_stays_as_it_is() -> None:
    image = np.random.default_rng(0).random((2, 5, 7), dtype=np.float32)
    assert resize_bilinear(image, 5, 7) is image
