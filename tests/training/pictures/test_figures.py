from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seg.raster.pictures.figures import new_figure
from seg.training.pictures.figures import rendered, write_png


@pytest.mark.parametrize("width", [113, 114, 115, 116, 283])  # in floating point, 100 * 1.15 is below 115
def test_figures_of_any_width_are_rendered_to_within_a_pixel(width: int) -> None:
    height, rendered_width, channels = rendered(new_figure(width, 57)).shape
    assert (height, channels) == (57, 3)
    assert rendered_width in (width, width - 1)


def test_a_picture_is_written_without_loss(tmp_path: Path) -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    write_png(pixels, tmp_path / "new" / "x.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "x.png")), pixels)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.png"]
