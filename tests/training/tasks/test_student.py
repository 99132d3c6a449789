"""A student learns from unlabelled scenes, but not from data that must be hidden from it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor

from seg.data.augmentation.pipeline import AugmentationConfig
from seg.data.datamodule import CroplandDataModule
from seg.data.samples.chips import ChipConfig
from seg.data.samples.views import ViewConfig
from seg.errors import ConfigError, PackageError
from seg.labels import IGNORE
from seg.package.checkpoint import read_checkpoint
from seg.package.read import load_model, read_package
from seg.package.write import write_package
from seg.training.optimizer import OptimizerConfig
from seg.training.tasks.cropland import CroplandTask
from seg.training.tasks.student import UNLABELLED, StudentTask
from seg.training.teachers.config import TeacherConfig
from seg.training.teachers.targets import TargetConfig
from seg.training.warmups.batch import WarmupBatch
from seg.training.warmups.data import WarmupData
from seg.training.warmups.layers import WarmupLayers
from seg.training.warmups.learning_rate import WarmupLearningRate
from seg.training.warmups.loss import WarmupLoss
from seg.training.watch_targets import WatchTargets
from support.networks import TINY_NETWORK
from support.packages import copy_by_scene
from support.resume_runs import SIZES, Case, content, differences
from support.training import quiet_trainer

pytestmark = pytest.mark.filterwarnings("ignore:You passed in a `val_dataloader` but have no")

MakeDataset = Callable[..., Path]
VIEWS = ViewConfig(count=2, gain=0.02, offset=0.05, noise=0.05, haze=0, shadow=0, band_dropout=0, resolution=0)
EAGER = TargetConfig(threshold=0.6)
Weights = dict[str, Tensor]


def hide_masks(root: Path, hidden: range) -> None:
    """Write a manifest in which the hidden scenes have no mask; scene i is in fold i % 5."""
    rows = [f"images/scene_{i}.tif,{'' if i in hidden else f'masks/scene_{i}.tif'},{i % 5}" for i in range(len(SIZES))]
    (root / "manifest.csv").write_text("\n".join(["image,mask,fold", *rows]))


@pytest.fixture(scope="module")
def root(make_dataset: MakeDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine scenes; the scenes 6 to 8 are unlabelled."""
    root = make_dataset(tmp_path_factory.mktemp("data") / "data", sizes=SIZES)
    hide_masks(root, range(6, 9))
    return root


def data_of(root: Path, **options: object) -> CroplandDataModule:
    given: dict[str, object] = {"views": VIEWS, "chips": ChipConfig(size=12, per_epoch=6), "seed": 3} | options
    maps = given.pop("maps", None)
    data = CroplandDataModule(root=root, **given)  # type: ignore[arg-type]
    data.maps = maps  # type: ignore[assignment]
    return data


def fitted(root: Path, task: StudentTask, *, data: dict[str, object] | None = None, **trainer: object) -> StudentTask:
    module = data_of(root, **(data or {}))
    module.setup("fit")
    task.check_data(module)
    task.fill_normalization(module.statistics.mean, module.statistics.std)
    quiet_trainer(**{"max_epochs": 2, "limit_val_batches": 0} | trainer).fit(task, module)
    return task


def student(seed: int = 0, **options: object) -> StudentTask:
    torch.manual_seed(seed)
    return StudentTask(**{"bands": 3, "model": TINY_NETWORK, "targets": EAGER} | options)  # type: ignore[arg-type]


def weights(task: CroplandTask) -> Weights:
    return {name: value.clone() for name, value in task.model.state_dict().items()}


def alike(one: Weights, other: Weights) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_unlabelled_scenes_change_the_weights(root: Path) -> None:
    with_them, without = student(), student(targets=TargetConfig(threshold=0.6, weight=0.0))
    assert not alike(weights(fitted(root, with_them)), weights(fitted(root, without)))
    assert with_them.kept is not None
    assert int(with_them.kept.valid) > 0


def test_a_hidden_label_never_reaches_a_loss(root: Path, make_dataset: MakeDataset, tmp_path: Path) -> None:
    poisoned = make_dataset(tmp_path / "data", sizes=SIZES)
    hide_masks(poisoned, range(6, 9))
    for number in range(6, 9):
        with rasterio.open(poisoned / "masks" / f"scene_{number}.tif", "r+") as mask:
            mask.write(np.full((1, mask.height, mask.width), 77, np.uint8))
    assert alike(weights(fitted(root, student())), weights(fitted(poisoned, student())))


def test_pixels_without_data_are_not_targets(root: Path, make_dataset: MakeDataset, tmp_path: Path) -> None:
    """The student learns the same, whatever value stands for nodata."""
    other = make_dataset(tmp_path / "data", sizes=SIZES)
    hide_masks(other, range(6, 9))
    for number in range(6, 9):
        with rasterio.open(other / "images" / f"scene_{number}.tif", "r+") as image:
            pixels = image.read()
            empty = (pixels == 0).all(axis=0)
            assert empty.any()
            pixels[:, empty] = 60_000
            image.write(pixels)
            image.nodata = 60_000
    assert alike(weights(fitted(root, student())), weights(fitted(other, student())))


def test_padding_and_nodata_have_no_target(root: Path) -> None:
    task = fitted(root, student(targets=TargetConfig(threshold=0.5)), data={"chips": ChipConfig(size=40, per_epoch=4)})
    source, targets = task.shown["batch"]["source"], task.shown["targets"]
    assert (source == IGNORE).any()
    assert torch.equal(targets.kept, source != IGNORE)


def test_the_averaged_teacher_and_the_student_are_scored(root: Path) -> None:
    task = student()
    module = data_of(root)
    task.fill_normalization(module.statistics.mean, module.statistics.std)
    trainer = quiet_trainer(max_epochs=2)
    trainer.fit(task, module)
    assert task.scored is not task.model
    assert {
        "val/iou",
        "val/student/iou",
        "train/kept_other",
        "train/labelled_cropland",
    } <= trainer.callback_metrics.keys()


def test_targets_use_the_calibration_of_the_last_validation(root: Path) -> None:
    task = fitted(root, student(), limit_val_batches=1.0)
    _, found = task._calibration
    assert task._scaling == (found["temperature"], found["bias"])
    plain = fitted(root, student(targets=TargetConfig(calibrated=False)), limit_val_batches=1.0)
    assert plain._scaling == (1.0, 0.0)


def test_the_weight_follows_the_warm_up_of_the_loss(root: Path) -> None:
    seen: list[float] = []

    class Sees(WatchTargets):
        def on_train_batch_end(self, trainer: object, pl_module: StudentTask, *_: object) -> None:  # type: ignore[override]
            seen.append(round(pl_module.loss.weights[UNLABELLED], 3))

    fitted(root, student(), callbacks=[WarmupLoss(steps=8), Sees()])
    assert seen == [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("norms", ["labelled", "frozen"])
def test_each_policy_of_the_norms_gives_other_weights(root: Path, norms: str) -> None:
    found = weights(fitted(root, student(norms=norms), max_epochs=1))
    assert not alike(found, weights(fitted(root, student(), max_epochs=1)))


def test_whole_scenes_of_any_size_can_be_learned_from(root: Path) -> None:
    task = fitted(root, student(), data={"chips": ChipConfig()}, max_epochs=1)
    assert task.shown["batch"]["strong"].shape[:3] == (1, 2, 3)


def all_warm_ups() -> list[object]:
    """Callbacks of every warm-up, with the watch after them."""
    return [
        WarmupLearningRate(steps=4),
        WarmupBatch(steps=4, final=2),
        WarmupLayers(frozen_epochs=1, stage_epochs=1),
        WarmupData(share=0.7, epochs=1),
        WarmupLoss(epochs=1.5),
        WatchTargets(every=3),
    ]


CASES = {
    "averaged": {},
    "with all warm-ups": {"callbacks": all_warm_ups, "every_steps": 1},
    "accumulated": {"trainer": {"accumulate_grad_batches": 3}, "every_steps": 1},
    "without validation": {"trainer": {"limit_val_batches": 0}},
}


DEAR = "accumulated", "without validation", "averaged"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.campaign) if name in DEAR else name for name in CASES]
)
def test_a_killed_and_resumed_student_equals_an_uninterrupted_one(root: Path, tmp_path: Path, name: str) -> None:
    def callbacks() -> list[object]:
        return [WarmupLoss(steps=6), WatchTargets(every=3)]

    chips = {"views": VIEWS, "chips": ChipConfig(size=12, per_epoch=8), "augmentation": AugmentationConfig(gain=0.1)}
    options = {"callbacks": callbacks, "kind": StudentTask, "data": chips, "task": {"targets": EAGER}} | CASES[name]
    whole, killed = Case(root, **options), Case(root, **options)  # type: ignore[arg-type]
    expected = content(whole.run(tmp_path / "whole"))
    found = content(killed.run_killed_at(tmp_path / "killed", 5, 11))
    assert found["teacher"]["updates"] > 2
    assert found["current_model_state"].keys() == found["state_dict"].keys()
    assert differences(found, expected) == []


@pytest.fixture(scope="module")
def package(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model package that was trained on the scenes."""
    folder = tmp_path_factory.mktemp("teacher")
    Case(root, trainer={"max_epochs": 1}).run(folder)
    write_package(read_checkpoint(folder / "last.ckpt"), folder / "model")
    return folder / "model"


def test_teacher_packages_give_the_probabilities_of_prediction(root: Path, package: Path) -> None:
    config = TeacherConfig(packages=(package,), dihedral=True)
    task = student(teacher=config, targets=TargetConfig(kind="soft", threshold=0.5, temperature=2.0, share=0.5))
    fitted(root, task, max_epochs=1)
    batch, targets = task.shown["batch"], task.shown["targets"]
    predictor = task._packages.predictor  # type: ignore[union-attr]
    assert predictor.views == 8
    image = batch["clean"][0, 0]
    expected = torch.from_numpy(predictor.probability(image.numpy()))
    first = batch["source"][0, 0] == 0
    torch.testing.assert_close(targets.probability[0, 0][first], expected[first])


def test_an_exported_package_names_its_teacher(root: Path, package: Path, tmp_path: Path) -> None:
    teacher = TeacherConfig(packages=(package,))
    case = Case(root, kind=StudentTask, task={"teacher": teacher}, data={"views": VIEWS, "chips": ChipConfig(size=8)})
    case.data["chips"] = ChipConfig(size=8, per_epoch=2)
    taught = write_package(read_checkpoint(case.run(tmp_path)), tmp_path / "model").taught_by
    assert taught is not None
    assert taught["packages"] == [{"name": "model", "weights_sha256": read_package(package).weights_sha256}]
    assert taught["unlabelled"]["scenes"] == 3
    assert read_package(tmp_path / "model").taught_by == taught


def test_maps_can_teach_without_unlabelled_scenes(
    root: Path, tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    for number in range(len(SIZES)):
        with rasterio.open(root / "images" / f"scene_{number}.tif") as image:
            percent = np.full((image.height, image.width), 90, np.uint8)
            place = tmp_path / f"scene_{number}_probability.tif"
            write_raster(place, percent, transform=image.transform, nodata=255)
    soft = TargetConfig(kind="soft", threshold=0.5, share=0.5)
    taught = student(teacher=TeacherConfig(maps=tmp_path), targets=soft)
    found = fitted(root, taught, data={"maps": tmp_path, "views": ViewConfig()})
    plain = student(teacher=TeacherConfig(maps=tmp_path), targets=TargetConfig(kind="soft", share=1e-9))
    assert not alike(weights(found), weights(fitted(root, plain, data={"maps": tmp_path, "views": ViewConfig()})))


def exported(folder: Path, teacher: float, its_student: float) -> tuple[str, Path]:
    found = torch.load(folder / "last.ckpt", weights_only=True)
    found["metrics"] |= {"val/iou": teacher, "val/student/iou": its_student}
    torch.save(found, folder / "edited.ckpt")
    return read_checkpoint(folder / "edited.ckpt").note, folder / "edited.ckpt"


def test_export_takes_the_better_of_teacher_and_student(root: Path, tmp_path: Path) -> None:
    Case(root, kind=StudentTask, data={"views": VIEWS, "chips": ChipConfig(size=12, per_epoch=4)}).run(tmp_path)
    note, path = exported(tmp_path, 0.7, 0.6)
    assert note == "weights of the averaged teacher, IoU 0.7000 in validation; the student has 0.6000"
    teacher, raw = read_checkpoint(path).weights, read_checkpoint(path, "raw")
    assert not alike(dict(teacher), dict(raw.weights))
    assert raw.metrics["val/iou"] == 0.6
    note, path = exported(tmp_path, 0.5, 0.6)
    assert note == "weights of the student, IoU 0.6000 in validation; the averaged teacher has 0.5000"
    assert alike(dict(read_checkpoint(path).weights), dict(raw.weights))
    assert alike(dict(read_checkpoint(path, "averaged").weights), dict(teacher))
    assert read_checkpoint(path).calibration.keys() == raw.calibration.keys() != set()


def refused(root: Path, said: str, kind: type[Exception] = ConfigError, **options: object) -> None:
    data = options.pop("data", {})
    with pytest.raises(kind, match=said):
        fitted(root, student(**options), data=data, max_epochs=1)  # type: ignore[arg-type]


def test_contradictory_options_are_refused(root: Path, package: Path) -> None:
    refused(root, r"data\.views\.count is 0, so no unlabelled", data={"views": ViewConfig()})
    refused(root, "an averaged teacher adds nothing", targets=TargetConfig(kind="soft", share=0.5))
    refused(root, "recomputes the strong views after the norms", norms="frozen", gradient_checkpointing=True)
    with pytest.raises(ConfigError, match=r"data\.maps is maps, but model\.teacher\.maps is None"):
        student().check_data(data_of(root, maps=Path("maps")))
    with pytest.raises(ConfigError, match="wanted one kind of teacher"):
        TeacherConfig(packages=(package,), maps=package)
    with pytest.raises(ConfigError, match=r"decay is 1; wanted 0 to below 1"):
        TeacherConfig(decay=1.0)
    with pytest.raises(ConfigError, match=r"model\.teacher\.scales is"):
        TeacherConfig(packages=(package,), scales=(99.0,))


def test_a_teacher_that_normalises_bands_in_another_way_is_refused(root: Path, package: Path, tmp_path: Path) -> None:
    by_scene = copy_by_scene(package, tmp_path / "by_scene")
    refused(
        root,
        "has the normalisation scene, but the student dataset",
        PackageError,
        teacher=TeacherConfig(packages=(by_scene,)),
    )


def test_a_student_and_its_average_start_with_initial_weights(root: Path, package: Path) -> None:
    wanted = load_model(package, read_package(package)).network.state_dict()
    still = OptimizerConfig(learning_rate=1e-30)
    task = student(initial_weights=package, optimizer=still, norms="frozen")
    task = fitted(root, task, data={"chips": ChipConfig(size=8, per_epoch=1)}, max_epochs=1)
    for network in (task.model.network, task.scored.network):
        for name, value in network.named_parameters():
            torch.testing.assert_close(value.detach(), wanted[name])


def test_weight_averaging_is_refused_since_the_teacher_is_an_average(root: Path) -> None:
    with pytest.raises(ConfigError, match="but the teacher is already an average"):
        fitted(root, student(), callbacks=[EMAWeightAveraging(decay=0.9)])


def test_a_teacher_that_does_not_fit_is_refused(
    root: Path, package: Path, make_dataset: MakeDataset, tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    two = make_dataset(tmp_path / "two", sizes=SIZES, bands=2)
    hide_masks(two, range(6, 9))
    refused(two, "has 2 bands, but .*model wants 3", PackageError, bands=2, teacher=TeacherConfig(packages=(package,)))
    coarse = make_dataset(tmp_path / "coarse", sizes=SIZES)
    hide_masks(coarse, range(6, 9))
    for path in coarse.rglob("*.tif"):
        with rasterio.open(path, "r+") as raster:
            raster.transform = raster.transform @ rasterio.Affine.scale(3)
    refused(coarse, "has pixels of 30 m, but .* 10 m", PackageError, teacher=TeacherConfig(packages=(package,)))
    missing = TeacherConfig(packages=(tmp_path / "none",))
    refused(root, "no such file; wanted a model package", PackageError, teacher=missing)
    refused(root, "has the same weights as", PackageError, teacher=TeacherConfig(packages=(package, package)))


def test_a_plain_task_refuses_views_that_it_would_not_use(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"add --task=student, or set data.views.count to 0"):
        CroplandTask(bands=3, model=TINY_NETWORK).check_data(data_of(root))
