import numpy as np

from seg.labels import CROPLAND, IGNORE, OTHER
from seg.training.pictures.figures import rendered
from seg.training.pictures.teacher_panels import draw_teacher_panel


def test_a_panel_shows_images_probability_and_the_share_of_kept_pixels() -> None:
    random = np.random.default_rng(0)
    clean, strong = random.random((2, 3, 8, 12), dtype=np.float32)
    target = np.full((8, 12), IGNORE, np.uint8)
    target[:, :3], target[:, 3:6] = CROPLAND, OTHER
    figure = draw_teacher_panel("scene.tif, epoch 1", clean, strong, random.random((8, 12), dtype=np.float32), target)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:4] == ["Clean image", "Strong view", "Probability by the teacher", "Targets (50% of the pixels)"]
    assert rendered(figure).std() > 0
