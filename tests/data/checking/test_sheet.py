from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from seg.data.checking import sheet
from seg.data.checking.check import Options, Report, check_dataset
from seg.data.checking.sheet import SHEET_SCENES, choose_scenes, draw_sheet
from support.planted_dataset import FOLDS, PlantedDataset

RED = np.array([0xC6, 0x28, 0x28]) / 255


def checked(dataset: PlantedDataset) -> Report:
    return check_dataset(dataset.root, Options(folds=FOLDS))


def red_pixels(path: Path) -> int:
    picture = matplotlib.image.imread(path)[:-60, :, :3]  # without the legend
    return int((np.abs(picture - RED).max(axis=2) < 0.02).sum())


def test_sheet_marks_the_scene_with_an_error(dataset: PlantedDataset, tmp_path: Path) -> None:
    draw_sheet(checked(dataset), tmp_path / "clean.png")
    dataset.rewrite(dataset.mask(1), nodata=0)
    draw_sheet(checked(dataset), tmp_path / "wrong.png")
    assert red_pixels(tmp_path / "clean.png") == 0
    assert red_pixels(tmp_path / "wrong.png") > 500


def test_a_sheet_with_unreadable_scenes_is_drawn(dataset: PlantedDataset, tmp_path: Path) -> None:
    dataset.image(1).write_text("notes")
    dataset.image(2).write_bytes(dataset.image(2).read_bytes()[:-300])
    dataset.mask(3).write_text("notes")
    draw_sheet(checked(dataset), tmp_path / "sheet.png")
    assert matplotlib.image.imread(tmp_path / "sheet.png").ndim == 3


def test_an_additional_nodata_value_is_drawn_as_empty(dataset: PlantedDataset, tmp_path: Path) -> None:
    for number in range(4):
        pixels = dataset.read(dataset.image(number))
        pixels[:, :, :4] = 7
        dataset.rewrite(dataset.image(number), pixels)
    empty = []
    for nodata in (None, 7):
        draw_sheet(check_dataset(dataset.root, Options(folds=FOLDS, nodata=nodata)), tmp_path / "sheet.png")
        picture = matplotlib.image.imread(tmp_path / "sheet.png")[:, :, :3]
        empty.append(int((np.abs(picture - np.array(sheet.EMPTY)).max(axis=2) < 0.02).sum()))
    assert empty[1] > 1.5 * empty[0]


def test_dataset_without_a_scene_has_a_sheet(dataset: PlantedDataset, tmp_path: Path) -> None:
    dataset.list_scenes([])
    draw_sheet(checked(dataset), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").is_file()


def test_same_dataset_gives_the_same_bytes(dataset: PlantedDataset, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_sheet(checked(dataset), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_scenes_with_errors_come_first_then_warnings_then_an_even_selection(
    dataset: PlantedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.rewrite(dataset.image(1), dataset.read(dataset.image(1)).astype(np.float32))
    dataset.rewrite(dataset.mask(3), nodata=0)
    report = checked(dataset)
    assert [scene.scene.image.stem for scene in choose_scenes(report)] == ["scene_3", "scene_1", "scene_0", "scene_2"]
    monkeypatch.setattr(sheet, "SHEET_SCENES", 3)
    assert [scene.scene.image.stem for scene in choose_scenes(report)] == ["scene_3", "scene_1", "scene_0"]
    many = replace(report, scenes=report.scenes * 20, findings=())
    monkeypatch.setattr(sheet, "SHEET_SCENES", SHEET_SCENES)
    assert len(choose_scenes(many)) == SHEET_SCENES
