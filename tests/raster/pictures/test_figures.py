from pathlib import Path

import pytest

from seg.labels import CROPLAND, IGNORE
from seg.raster.pictures.figures import RowLayout, label_patches, new_figure, panel_row, save_figure

LAYOUT = RowLayout(gap=10, top=30, bottom=20, narrowest=50)


@pytest.mark.parametrize(("width", "column"), [(40, 50), (80, 80)])
def test_panels_of_a_row_have_their_size_and_the_room_of_their_titles(width: int, column: int) -> None:
    figure, panels = panel_row(3, 60, width, LAYOUT)
    total = figure.canvas.get_width_height()
    assert total == (3 * (column + 10) + 10, 60 + 30 + 20)
    for place, axes in enumerate(panels):
        left, bottom, right, top = (axes.get_position().extents * [*total, *total]).round().tolist()
        assert (left, bottom) == (10 + place * (column + 10) + (column - width) // 2, 20)
        assert (right - left, top - bottom) == (width, 60)


def test_labels_have_their_display_colours() -> None:
    cropland, ignored = label_patches({CROPLAND: "crops", IGNORE: "no label"})
    assert (cropland.get_label(), ignored.get_label()) == ("crops", "no label")
    assert cropland.get_facecolor() == pytest.approx((46 / 255, 125 / 255, 50 / 255, 1))
    assert ignored.get_facecolor()[3] == 0


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        figure, _ = panel_row(2, 30, 40, LAYOUT)
        save_figure(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert b"Matplotlib" not in (tmp_path / "a.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_figure_has_its_size_in_pixels() -> None:
    assert new_figure(123, 45).canvas.get_width_height() == (123, 45)
