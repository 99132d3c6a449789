"""Comparison of training on labels with training on labels and unlabelled scenes."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from seg.benchmark import labels
from seg.benchmark.labels import benchmark_labels, compare_labels, plan_runs, text_of, training_words, write_dataset
from seg.benchmark.settings import LabelsSettings
from seg.data.dataset.catalogue import read_catalogue
from seg.data.dataset.unlabelled import read_unlabelled
from seg.errors import ConfigError
from support.networks import TINY

Train = Callable[[list[str]], None]


@pytest.fixture(scope="module")
def root(make_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("labels") / "data", sizes=[(14, 14)] * 10)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs that were trained. Trainings take no time; supervised runs score 0.5, students score 0.6."""
    names: list[str] = []

    def train(words: Sequence[str]) -> None:
        folder = next(Path(word.partition("=")[2]) for word in words if word.startswith("--trainer.default_root_dir"))
        names.append(folder.parent.name)
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"duration_s": 1.0}))
        score = 0.6 if folder.parent.name.startswith("student") else 0.5
        with (folder / "metrics.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["epoch", "step", "val/iou"], [0, 1, score]])

    monkeypatch.setattr(labels, "train", train)
    return names


def test_both_methods_of_a_seed_get_the_same_labels_and_no_other_mask_is_listed(root: Path, tmp_path: Path) -> None:
    settings = LabelsSettings(root=root, shares=(0.25,), seeds=(0, 1))
    seen = []
    for run in plan_runs(settings):
        write_dataset(tmp_path / run.name, run, settings)
        scenes = read_catalogue(tmp_path / run.name, 2)
        labelled = {scene.image for scene in scenes if scene.fold == 1}
        unlabelled = {scene.image for scene in read_unlabelled(tmp_path / run.name, None, fold=0)}
        held_out = {scene.image.name for scene in scenes if scene.fold == 0}
        assert held_out == {"scene_0.tif", "scene_5.tif"}
        assert (len(labelled), len(unlabelled)) == (2, 6)
        assert not labelled & unlabelled
        seen.append((run.seed, labelled))
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]
    assert seen[0][1] != seen[2][1]


def test_a_fold_that_is_set_aside_is_not_read(root: Path, tmp_path: Path) -> None:
    settings = LabelsSettings(root=root, shares=(1.0,), seeds=(0,), fold=1, aside=0)
    run = plan_runs(settings)[0]
    write_dataset(tmp_path, run, settings)
    names = {scene.image.name for scene in read_catalogue(tmp_path, 2)}
    assert (run.labelled, len(names)) == (6, 8)
    assert not names & {"scene_0.tif", "scene_5.tif"}


def test_finished_trainings_are_kept_and_further_seeds_added(root: Path, tmp_path: Path, trained: list[str]) -> None:
    first = compare_labels(LabelsSettings(root=root, shares=(0.25,), seeds=(0,)), tmp_path)
    assert trained == ["supervised_25_percent_seed_0", "student_25_percent_seed_0"]
    again = compare_labels(LabelsSettings(root=root, shares=(0.25,), seeds=(0, 1)), tmp_path)
    assert trained[2:] == ["supervised_25_percent_seed_1", "student_25_percent_seed_1"]
    assert again[:2] == first
    table = text_of(again).splitlines()
    assert "0.500 (0.500 to 0.500)" in table[-1]
    assert "+10.0" in table[-1]


def test_an_interrupted_training_goes_on(root: Path, tmp_path: Path) -> None:
    settings = LabelsSettings(root=root, shares=(0.25,), seeds=(0,))
    run = plan_runs(settings)[1]
    assert "--ckpt_path=last" not in training_words(run, tmp_path, settings)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").touch()
    assert training_words(run, tmp_path, settings)[-1] == "--ckpt_path=last"


def test_trainings_of_other_settings_are_refused(root: Path, tmp_path: Path, trained: list[str]) -> None:
    compare_labels(LabelsSettings(root=root, shares=(0.25,), seeds=(0,)), tmp_path)
    with pytest.raises(ConfigError, match=r"holds trainings with other settings \(steps\)"):
        compare_labels(LabelsSettings(root=root, shares=(0.25,), seeds=(0,), steps=7), tmp_path)


def test_both_methods_train_and_the_report_is_written(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("supervised", "student"):
        content = {
            "task": "cropland" if name == "supervised" else "student",
            "model": {"model": TINY},
            "panels": {"scenes": 0, "curves": False},
            "tracking": {"tensorboard": False},
            "trainer": {"accelerator": "cpu"},
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    settings = LabelsSettings(
        root=root,
        shares=(0.25,),
        seeds=(0,),
        steps=2,
        batches=2,
        chip=8,
        supervised=tmp_path / "supervised.yaml",
        student=tmp_path / "student.yaml",
        taught=("--model.targets.threshold=0.6",),
    )
    benchmark_labels(settings, tmp_path / "report")
    assert "labels and unlabelled scenes" in capsys.readouterr().out
    assert (tmp_path / "report" / "labels.png").read_bytes().startswith(b"\x89PNG")
    content = json.loads((tmp_path / "report" / "labels.json").read_text())
    assert [run["run"]["way"] for run in content["runs"]] == ["supervised", "student"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shares": ()}, "--shares is"),
        ({"shares": (0.0,)}, "--shares is"),
        ({"seeds": (1, 1)}, "--seeds is"),
        ({"fold": 2, "aside": 2}, "--fold is 2 of 5, with fold 2 set aside"),
        ({"steps": 0}, "--steps is 0"),
    ],
)
def test_a_value_out_of_range_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        LabelsSettings(root=Path("data"), **options)  # type: ignore[arg-type]


def test_a_share_that_leaves_no_scene_labelled_is_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"--shares has 0\.01, which leaves none of 8 scenes labelled"):
        plan_runs(LabelsSettings(root=root, shares=(0.01,)))
