"""The command line of a student: the choice of the task, teachers by name, resuming, scoring, mistakes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml

from seg.errors import ConfigError
from seg.training.task_choice import wanted_task
from support.commands import Ran, assert_mistake, run_command
from support.networks import TINY

WriteRaster = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(
    make_dataset: Callable[..., Path], write_raster: WriteRaster, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A dataset, unlabelled scenes, maps of these scenes, and a run of a student for two epochs with pictures."""
    folder = tmp_path_factory.mktemp("student")
    make_dataset(folder / "data")
    place = rasterio.Affine(10, 0, 900_000, 0, -10, 5_000_000)
    for number in range(2):
        image = np.random.default_rng(number).integers(500, 4000, (3, 20, 20), dtype=np.uint16)
        write_raster(folder / "scenes" / f"{number}.tif", image, transform=place)
        write_raster(folder / "maps" / f"{number}_probability.tif", np.full((20, 20), 90, np.uint8), transform=place)
    content = {
        "task": "student",
        "data": {"root": str(folder / "data"), "chips": {"size": 12, "per_epoch": 4}},
        "model": {"model": TINY, "targets": {"threshold": 0.5}},
        "panels": {"scenes": 1, "every_epochs": 1},
        "tracking": {"tensorboard": False},
        "trainer": {"default_root_dir": str(folder / "run"), "max_epochs": 2, "accelerator": "cpu"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    ran = fit(folder)
    assert ran.status == 0, ran.err
    return folder


def fit(folder: Path, *words: object) -> Ran:
    configuration = f"--config={folder / 'config.yaml'}"
    return run_command("train fit", configuration, f"--data.unlabelled={folder / 'scenes'}", *words)


def test_the_run_has_checkpoints_curves_and_pictures(folder: Path) -> None:
    run = folder / "run"
    assert (run / "checkpoints" / "best.ckpt").is_file()
    assert (run / "learning_curves.png").is_file()
    assert sorted(path.name for path in (run / "panels" / "teacher").iterdir()) == ["epoch_0001.png", "epoch_0002.png"]
    columns = (run / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"train/kept_cropland", "train/labelled_cropland", "val/student/iou"} <= set(columns)
    assert yaml.safe_load((run / "config.yaml").read_text())["task"] == "student"


def test_a_student_is_scored_without_its_teacher(folder: Path) -> None:
    best = folder / "run" / "checkpoints" / "best.ckpt"
    ran = run_command("train validate", f"--ckpt_path={best}", f"--data.root={folder / 'data'}", "--data.chips.size=12")
    assert ran.status == 0, ran.err


def test_a_student_resumes_with_its_configuration(folder: Path) -> None:
    ran = fit(folder, "--ckpt_path=last", "--trainer.max_epochs=3")
    assert ran.status == 0, ran.err
    assert "epoch 3/3" in ran.out


def test_a_plain_training_does_not_resume_a_student(folder: Path) -> None:
    last = folder / "run" / "checkpoints" / "last.ckpt"
    ran = run_command("train fit", f"--ckpt_path={last}", f"--data.root={folder / 'data'}")
    assert_mistake(ran, f"task is cropland, but {last} was trained by the task student; add --task=student")


def test_one_option_makes_maps_the_teacher(folder: Path, tmp_path: Path) -> None:
    words = f"--model.teacher.maps={folder / 'maps'}", f"--trainer.default_root_dir={tmp_path / 'run'}"
    ran = fit(folder, *words, "--trainer.max_epochs=1", "--panels.scenes=0")
    assert ran.status == 0, ran.err
    ran = run_command(
        "export", f"--checkpoint={tmp_path / 'run/checkpoints/last.ckpt'}", f"--output={tmp_path / 'model'}"
    )
    assert ran.status == 0, ran.err
    assert '"kind": "maps"' in (tmp_path / "model" / "model.json").read_text()


def test_unlabelled_scenes_with_other_bands_are_refused_in_one_line(
    folder: Path, tmp_path: Path, write_raster: WriteRaster
) -> None:
    write_raster(tmp_path / "scenes" / "two.tif", np.ones((2, 20, 20), np.uint16))
    ran = fit(folder, f"--data.unlabelled={tmp_path / 'scenes'}")
    assert_mistake(ran, "two.tif: has 2 bands, but band 3 is wanted")


def test_a_dataset_without_unlabelled_scenes_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    assert_mistake(fit(folder, "--data.unlabelled=null"), "has no unlabelled scene outside the held-out fold")
    assert_mistake(fit(folder, f"--data.unlabelled={tmp_path}"), "holds no scene")


def test_the_last_value_of_the_option_task_is_used(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("task: student\n")
    assert wanted_task(["fit"]) == "cropland"
    assert wanted_task(["fit", "--config", str(path)]) == "student"
    assert wanted_task(["fit", f"--config={path}", "--task", "cropland"]) == "cropland"
    assert wanted_task(["fit", "--task=cropland", f"--config={path}"]) == "student"
    with pytest.raises(ConfigError, match="task is tutor; wanted cropland or student"):
        wanted_task(["fit", "--task=tutor"])
