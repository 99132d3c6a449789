from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from matplotlib.figure import Figure
from matplotlib.image import imread

from seg.errors import RasterError
from seg.evaluation.pairs import FoldSelection
from seg.evaluation.report.picture import (
    PANEL,
    Panel,
    display_shape,
    draw_panels,
    draw_picture,
    outline_segments,
)
from seg.evaluation.scene import SceneAccuracy
from seg.evaluation.settings import EvaluationSettings
from seg.labels import (
    CROPLAND,
    IGNORE,
    LABEL_COLOURS,
    OTHER,
)
from support.comparing import compare

WriteRaster = Callable[..., Path]
CROPLAND_COLOUR = np.array(LABEL_COLOURS[CROPLAND])


@pytest.fixture
def scene(write_raster: WriteRaster) -> SceneAccuracy:
    """A scene whose IoU in fold 1 is 0.8."""
    rng = np.random.default_rng(0)
    classes = rng.choice([OTHER, CROPLAND, IGNORE], (29, 29)).astype(np.uint8).repeat(5, 0).repeat(5, 1)
    folds = np.indices((145, 145))[0].astype(np.uint8) // 29
    mapped = classes.copy()
    mapped[29:58:5][mapped[29:58:5] == CROPLAND] = OTHER
    return compare(
        write_raster("map.tif", mapped, nodata=IGNORE),
        write_raster("mask.tif", classes),
        FoldSelection(write_raster("folds.tif", folds), 1),
    ).scenes[0]


def with_image(scene: SceneAccuracy, image: Path) -> SceneAccuracy:
    return replace(scene, pair=replace(scene.pair, image=image))


def draw(scene: SceneAccuracy, path: Path) -> None:
    draw_picture(scene, EvaluationSettings(), path)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Panel]:
    """The panels that are drawn, in order."""
    found: list[Panel] = []

    def record(panels: list[Panel], held_out: np.ndarray) -> Figure:
        found.extend(panels)
        return draw_panels(panels, held_out)

    monkeypatch.setattr("seg.evaluation.report.picture.draw_panels", record)
    return found


@pytest.fixture
def image(write_raster: WriteRaster) -> Path:
    pixels = np.random.default_rng(1).integers(1000, 6000, (4, 145, 145))
    return write_raster("scene.tif", pixels.astype(np.uint16), ("blue", "green", "red", "nir"))


def test_three_panels_fit_a_readme(scene: SceneAccuracy, image: Path, tmp_path: Path) -> None:
    draw(with_image(scene, image), tmp_path / "picture.png")
    height, width, _ = imread(tmp_path / "picture.png").shape
    assert 1300 <= width <= 1600
    assert 500 <= height <= 620
    # An image of noise is the worst case for compression.
    assert (tmp_path / "picture.png").stat().st_size < 300 * 1024


def test_picture_without_an_image_has_two_panels(scene: SceneAccuracy, image: Path, tmp_path: Path) -> None:
    draw(scene, tmp_path / "two.png")
    draw(with_image(scene, image), tmp_path / "three.png")
    assert imread(tmp_path / "two.png").shape[1] < 0.7 * imread(tmp_path / "three.png").shape[1]


def test_same_maps_give_the_same_bytes(scene: SceneAccuracy, tmp_path: Path) -> None:
    draw(scene, tmp_path / "a.png")
    draw(scene, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_pixels_of_a_small_scene_are_drawn_as_even_squares() -> None:
    checkers = np.zeros((145, 145, 4))
    checkers[..., 3] = 1
    checkers[::2, ::2, 0] = checkers[1::2, 1::2, 0] = 1
    figure = draw_panels([Panel("", checkers)], None)
    figure.canvas.draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
    row = (drawn[drawn.shape[0] // 2, :, 0] > 127) & (drawn[drawn.shape[0] // 2, :, 1] < 50)
    runs = np.diff(np.flatnonzero(np.diff(row.astype(int))))[2:-2]
    assert set(runs.tolist()) == {3}


@pytest.mark.parametrize(
    ("height", "width", "shape"), [(145, 145, (145, 145)), (9600, 4800, (480, 240)), (2, 96_000, (1, 480))]
)
def test_large_rasters_are_read_at_panel_size(height: int, width: int, shape: tuple[int, int]) -> None:
    assert display_shape(height, width) == shape


@pytest.mark.parametrize(("height", "width"), [(1, 1), (40, 300), (300, 40), (700, 900)])
def test_any_shape_of_raster_can_be_drawn(write_raster: WriteRaster, tmp_path: Path, height: int, width: int) -> None:
    path = write_raster("map.tif", np.ones((height, width), np.uint8))
    draw(with_image(compare(path, path).scenes[0], path), tmp_path / "picture.png")
    assert max(imread(tmp_path / "picture.png").shape) <= 4 * PANEL


def test_classes_have_only_their_label_colours(write_raster: WriteRaster, tmp_path: Path, shown: list[Panel]) -> None:
    path = write_raster("map.tif", np.array([[CROPLAND, IGNORE, OTHER, 9]], np.uint8), nodata=9)
    draw(compare(path, path).scenes[0], tmp_path / "picture.png")
    assert [panel.title for panel in shown] == ["Reference", "Map: IoU 1.000"]
    for panel in shown:
        assert panel.colours[0, 0].tolist() == list(LABEL_COLOURS[CROPLAND])
        assert panel.colours[0, 2].tolist() == list(LABEL_COLOURS[OTHER])
        assert (panel.colours[0, [1, 3], 3] == 0).all()


def test_the_reference_is_also_shown_outside_the_fold(
    scene: SceneAccuracy, write_raster: WriteRaster, tmp_path: Path, shown: list[Panel]
) -> None:
    whole = replace(scene, pair=replace(scene.pair, reference=write_raster("all.tif", np.ones((145, 145), np.uint8))))
    draw(whole, tmp_path / "picture.png")
    assert (shown[0].colours == CROPLAND_COLOUR).all()


def test_outline_runs_around_the_held_out_blocks() -> None:
    inside = np.zeros((5, 6), dtype=bool)
    inside[1:3, 2:6] = True
    segments = outline_segments(inside)
    assert len(segments) == 2 * (2 + 4)
    xs, ys = np.array(segments).reshape(-1, 2).T
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (1.5, 5.5, 0.5, 2.5)


def test_titles_name_the_fold_and_its_score(
    scene: SceneAccuracy, image: Path, tmp_path: Path, shown: list[Panel]
) -> None:
    draw(with_image(scene, image), tmp_path / "picture.png")
    draw_picture(scene, EvaluationSettings(), tmp_path / "picture.png", named=True)
    score = f"IoU {scene.counts.iou:.3f} on held-out fold 1"
    titles = ["Image (red, green, blue)", "Reference", f"Map: {score}", "Reference", f"Map of map: {score}"]
    assert [panel.title for panel in shown] == titles


def test_polygons_are_drawn_as_the_reference(write_raster: WriteRaster, tmp_path: Path, shown: list[Panel]) -> None:
    prediction = write_raster("map.tif", np.zeros((40, 1000), np.uint8))
    left_half = geopandas.GeoDataFrame(geometry=[shapely.box(500_000, 4_999_600, 505_000, 5_000_000)], crs=32633)
    left_half.to_file(tmp_path / "fields.gpkg")
    draw(compare(prediction, tmp_path / "fields.gpkg").scenes[0], tmp_path / "picture.png")
    green = (shown[0].colours == CROPLAND_COLOUR).all(axis=-1)
    assert shown[0].title == "Reference"
    assert green[:, :240].all()
    assert not green[:, 240:].any()


def test_damaged_image_leaves_no_picture(scene: SceneAccuracy, write_raster: WriteRaster, tmp_path: Path) -> None:
    image = write_raster("scene.tif", np.ones((3, 145, 145), np.uint16))
    image.write_bytes(image.read_bytes()[:60_000])
    with pytest.raises(RasterError, match=r"scene\.tif.*damaged"):
        draw(with_image(scene, image), tmp_path / "picture.png")
    assert not list(tmp_path.glob("*picture*"))
