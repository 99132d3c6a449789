import numpy as np
import numpy.typing as npt
import pytest

from seg.labels import CROPLAND, IGNORE, OTHER
from seg.training.pictures.figures import rendered
from seg.training.pictures.scene_panel import (
    ScenePanel,
    draw_scene_panel,
    error_colours,
    label_colours,
    natural_colours,
    scene_iou,
)

MASK = np.array([[CROPLAND, OTHER, CROPLAND, OTHER, IGNORE]], dtype=np.uint8)
PROBABILITY = np.array([[0.9, 0.9, 0.1, 0.1, 0.9]], dtype=np.float32)


def test_each_kind_of_error_has_its_own_colour_and_correct_pixels_have_label_colours() -> None:
    colours, labels = error_colours(MASK, PROBABILITY, 0.5)[0], label_colours(MASK)[0]
    assert len(np.unique(colours, axis=0)) == 5
    for right in (0, 3, 4):
        np.testing.assert_array_equal(colours[right], labels[right])


def test_errors_depend_on_the_threshold() -> None:
    np.testing.assert_array_equal(
        error_colours(MASK[:, [0, 3]], PROBABILITY[:, [0, 3]], 0.95)[0, 1], label_colours(MASK)[0, 3]
    )
    assert not np.array_equal(error_colours(MASK, PROBABILITY, 0.95)[0, 0], label_colours(MASK)[0, 0])


def test_iou_counts_only_labelled_pixels() -> None:
    assert scene_iou(MASK, PROBABILITY, 0.5) == pytest.approx(1 / 3)
    assert scene_iou(np.full((2, 2), IGNORE, np.uint8), np.ones((2, 2), np.float32), 0.5) is None


def test_unlabelled_pixels_do_not_affect_the_stretch() -> None:
    image = np.zeros((1, 10, 10), dtype=np.float32)
    image[0, :2] = np.linspace(100, 200, 20).reshape(2, 10)
    mask = np.full((10, 10), IGNORE, dtype=np.uint8)
    mask[:2] = OTHER
    colours = natural_colours(image, mask)
    assert colours[:2].max() - colours[:2].min() == pytest.approx(1)
    assert (colours.min(), colours.max()) == (0, 1)


def test_red_green_and_blue_are_found_by_name() -> None:
    image = np.stack([np.full((4, 4), value, np.float32) for value in range(4)])
    image[3, 0, 0] = 9  # red is the last band
    colours = natural_colours(image, np.zeros((4, 4), np.uint8), ["blue", "green", "nir", "B4 red"])
    assert colours[0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("shape", [(1, 1), (40, 7), (300, 20)])
def test_images_of_any_band_count_and_size_are_drawn(channels: int, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    image: npt.NDArray[np.float32] = random.normal(size=(channels, *shape)).astype(np.float32)
    mask = random.choice(np.array([OTHER, CROPLAND, IGNORE], np.uint8), shape)
    panel = ScenePanel("scene", image, mask, random.random(shape, dtype=np.float32), 0.5)
    pixels = rendered(draw_scene_panel(panel))
    assert pixels.shape[0] >= shape[0]
    assert pixels.std() > 0
