from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.enums import ColorInterp
from torch import Tensor

from seg.data.augmentation.mixing import MixingConfig
from seg.data.augmentation.pipeline import AugmentationConfig
from seg.data.datamodule import CroplandDataModule
from seg.data.samples.chips import ChipConfig
from seg.errors import ConfigError, DatasetError, RasterError
from seg.labels import IGNORE

WriteRaster = Callable[..., Path]
MakeDataset = Callable[..., Path]
NAMES = [f"scene_{number}.tif" for number in range(5)]
STILL = AugmentationConfig(dihedral=False)


@pytest.fixture
def root(make_dataset: MakeDataset, tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data")


def training_batches(data: CroplandDataModule, epoch: int = 0) -> dict[str, dict[str, Tensor]]:
    """Batches of an epoch by scene name, in loading order."""
    loader = data.train_dataloader()
    loader.batch_sampler.sampler.set_epoch(epoch)
    return {batch["name"][0]: batch for batch in loader}


def same(first: dict[str, dict[str, Tensor]], second: dict[str, dict[str, Tensor]]) -> bool:
    """True if two epochs have equal images and masks in equal order."""
    return list(first) == list(second) and all(
        torch.equal(first[name][key], second[name][key]) for name in first for key in ("image", "mask")
    )


def test_the_held_out_fold_validates_and_the_other_folds_train(root: Path) -> None:
    data = CroplandDataModule(root=root, fold=2)
    assert sorted(training_batches(data)) == ["scene_0.tif", "scene_1.tif", "scene_3.tif", "scene_4.tif"]
    assert [batch["name"] for batch in data.val_dataloader()] == [["scene_2.tif"]]


def test_the_test_set_is_the_held_out_fold(root: Path) -> None:
    data = CroplandDataModule(root=root, fold=1)
    assert [batch["name"] for batch in data.test_dataloader()] == [["scene_1.tif"]]


def test_batches_hold_one_scene_at_its_own_size(root: Path) -> None:
    batches = training_batches(CroplandDataModule(root=root, fold=4, augmentation=STILL))
    assert {name: tuple(batch["image"].shape) for name, batch in batches.items()} == {
        "scene_0.tif": (1, 3, 16, 16),
        "scene_1.tif": (1, 3, 20, 13),
        "scene_2.tif": (1, 3, 9, 24),
        "scene_3.tif": (1, 3, 17, 18),
    }


def test_all_bands_of_the_first_image_are_the_default(root: Path) -> None:
    assert CroplandDataModule(root=root).bands == [1, 2, 3]


def test_the_band_count_is_the_number_of_chosen_bands(root: Path) -> None:
    assert CroplandDataModule(root=root, bands=[3, 1]).band_count == 2


def test_pixels_without_data_are_ignored_and_hold_the_training_mean(root: Path) -> None:
    data = CroplandDataModule(root=root, augmentation=STILL)
    batch = training_batches(data)["scene_1.tif"]

    assert (batch["mask"][0, :2, :2] == IGNORE).all()
    assert int((batch["mask"] == IGNORE).sum()) == 5  # includes the one pixel without a label
    expected = torch.tensor(data.statistics.mean, dtype=torch.float32)[:, None, None].expand(3, 2, 2)
    assert torch.equal(batch["image"][0, :, :2, :2], expected)


def test_statistics_use_only_the_valid_training_pixels(root: Path) -> None:
    pixels = []
    for name in NAMES[1:]:
        with rasterio.open(root / "images" / name) as dataset:
            image = dataset.read([3, 1]).astype(np.float64)
        pixels.append(image[:, (image != 0).all(axis=0)])
    expected = np.concatenate(pixels, axis=1)

    statistics = CroplandDataModule(root=root, bands=[3, 1], fold=0).statistics
    assert statistics.mean == pytest.approx(expected.mean(axis=1))
    assert statistics.std == pytest.approx(expected.std(axis=1))
    assert statistics.count == expected.shape[1]


def test_a_nodata_value_of_the_user_is_left_out_of_the_statistics(root: Path, write_raster: WriteRaster) -> None:
    with rasterio.open(root / "images" / NAMES[1]) as dataset:
        image, transform = dataset.read(), dataset.transform
    image[:, 5, 5] = 65535
    write_raster(root / "images" / NAMES[1], image, transform=transform, nodata=0)

    with_outlier = CroplandDataModule(root=root).statistics
    without = CroplandDataModule(root=root, nodata=65535).statistics
    assert without.count == with_outlier.count - 1
    assert max(without.mean) < max(with_outlier.mean)


def test_order_and_augmentation_are_the_same_for_equal_seeds(root: Path) -> None:
    first, again = (training_batches(CroplandDataModule(root=root, seed=3), epoch=1) for _ in range(2))
    assert same(first, again)


def test_augmentation_differs_by_epoch(root: Path) -> None:
    data = CroplandDataModule(root=root, augmentation=AugmentationConfig(dihedral=False, noise=0.1))
    first, second = training_batches(data, epoch=0), training_batches(data, epoch=1)
    assert not any(torch.equal(first[name]["image"], second[name]["image"]) for name in first)


def test_order_differs_by_epoch(root: Path) -> None:
    data = CroplandDataModule(root=root)
    assert len({tuple(training_batches(data, epoch)) for epoch in range(6)}) > 1


def test_held_out_scenes_are_not_augmented(root: Path) -> None:
    data = CroplandDataModule(root=root, fold=3, augmentation=AugmentationConfig(gain=0.5))
    (batch,) = data.val_dataloader()
    with rasterio.open(root / "images" / NAMES[3]) as dataset:
        image = torch.from_numpy(dataset.read().astype(np.float32))
    assert torch.equal(batch["image"][0, :, 2:, 2:], image[:, 2:, 2:])


def test_a_correct_dataset_passes_the_check_before_training(root: Path) -> None:
    CroplandDataModule(root=root).setup("fit")


@pytest.mark.parametrize("fold", [5, -1])
def test_an_empty_fold_is_refused(root: Path, fold: int) -> None:
    with pytest.raises(DatasetError, match=rf"no held-out scene with data\.fold {fold} of 5 folds, 5 scenes in all"):
        CroplandDataModule(root=root, fold=fold).setup("fit")


def test_a_single_fold_is_refused(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"no training scene with data\.fold 0 of 1 folds"):
        CroplandDataModule(root=root, folds=1).setup("fit")


def test_zero_folds_are_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.folds is 0"):
        CroplandDataModule(root=root, folds=0)


def test_unknown_labels_are_found_before_training(root: Path, write_raster: WriteRaster) -> None:
    with rasterio.open(root / "masks" / NAMES[4]) as dataset:
        labels, transform = dataset.read(), dataset.transform
    labels[0, 3, 3] = 7
    write_raster(root / "masks" / NAMES[4], labels, transform=transform)
    with pytest.raises(RasterError, match=r"masks/scene_4\.tif: holds the values 7, wanted 0"):
        CroplandDataModule(root=root).setup("fit")


def test_a_mask_on_another_grid_is_found_before_training(root: Path, write_raster: WriteRaster) -> None:
    write_raster(root / "masks" / NAMES[4], np.zeros((24, 10), dtype=np.uint8))
    with pytest.raises(RasterError, match=r"masks/scene_4\.tif: lies up to .* pixels off .*images/scene_4\.tif"):
        CroplandDataModule(root=root).setup("fit")


def test_a_missing_band_is_found_before_training(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"scene_0\.tif: has 3 bands, but band 4 is wanted"):
        CroplandDataModule(root=root, bands=[1, 4]).setup("fit")


def test_a_checkpoint_keeps_band_names_and_pixel_size(root: Path, write_raster: WriteRaster) -> None:
    with rasterio.open(root / "images" / NAMES[0]) as dataset:
        image, transform = dataset.read(), dataset.transform
    names = ("blue", "green", "red")
    write_raster(root / "images" / NAMES[0], image, descriptions=names, transform=transform, nodata=0)

    state = CroplandDataModule(root=root, bands=[3, 1]).state_dict()
    assert state == {
        "band_names": ["red", "blue"],
        "bands": [3, 1],
        "image_bands": 3,
        "labels": {"cropland": [1], "ignore": [255], "other": None},
        "nodata": None,
        "pixel_size_m": 10.0,
        "scales": None,
        "offsets": None,
    }


def test_a_checkpoint_keeps_scales_and_offsets(root: Path) -> None:
    with rasterio.open(root / "images" / NAMES[0], "r+") as dataset:
        dataset.scales, dataset.offsets = [0.5, 0.25, 0.125], [0, -1, -2]
    data = CroplandDataModule(root=root, bands=[3, 1])
    assert (data.state_dict()["scales"], data.state_dict()["offsets"]) == ([0.125, 0.5], [-2, 0])


def test_images_of_different_offsets_are_refused_before_training(root: Path) -> None:
    for name, offset in zip(NAMES[:2], (0, -0.1), strict=True):
        with rasterio.open(root / "images" / name, "r+") as dataset:
            dataset.scales, dataset.offsets = [0.0001] * 3, [offset] * 3
    with pytest.raises(
        DatasetError, match=r"states scale 0\.0001 and offset -0\.1, but .* states .* offset 0; convert"
    ):
        CroplandDataModule(root=root).setup("fit")


def test_a_checkpoint_keeps_the_nodata_setting_as_a_plain_number(root: Path) -> None:
    state = CroplandDataModule(root=root, nodata=65535).state_dict()
    assert (state["nodata"], type(state["nodata"]), state["bands"]) == (65535.0, float, [1, 2, 3])


def recode(root: Path, write_raster: WriteRaster, names: list[str], codes: dict[int, int]) -> None:
    """Rewrite masks with other values."""
    for name in names:
        with rasterio.open(root / "masks" / name) as dataset:
            labels, transform = dataset.read(), dataset.transform
        recoded = np.vectorize(lambda value: codes.get(value, value), otypes=[np.uint8])(labels)
        write_raster(root / "masks" / name, recoded, transform=transform)


def test_masks_of_0_and_255_are_refused_before_training(root: Path, write_raster: WriteRaster) -> None:
    recode(root, write_raster, NAMES, {1: 255})
    with pytest.raises(DatasetError, match=r"4 training scenes have 0 pixels of cropland, .* 255 is no label"):
        CroplandDataModule(root=root).setup("fit")


def test_a_held_out_fold_without_cropland_is_accepted(root: Path, write_raster: WriteRaster) -> None:
    recode(root, write_raster, NAMES[:1], {1: 0})
    CroplandDataModule(root=root, fold=0).setup("fit")


def test_a_training_split_without_cropland_may_still_be_validated(root: Path, write_raster: WriteRaster) -> None:
    recode(root, write_raster, NAMES[1:], {1: 0})
    CroplandDataModule(root=root, fold=0).setup("validate")


def test_a_scene_too_large_is_found_before_training(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seg.data.dataset.checks.MAX_VALUES", 24 * 10 * 3)
    with pytest.raises(DatasetError, match=r"scene_0\.tif: has 16x16 pixels in 3 bands"):
        CroplandDataModule(root=root).setup("fit")


def test_mixing_needs_chips(root: Path) -> None:
    mixing = MixingConfig(mosaic=0.1)
    with pytest.raises(ConfigError, match=r"data\.mixing is above 0, .* set data\.chips\.size"):
        CroplandDataModule(root=root, mixing=mixing)
    chips = CroplandDataModule(root=root, mixing=mixing, chips=ChipConfig(size=8, per_epoch=3))
    assert [tuple(batch["mask"].shape) for batch in chips.train_dataloader()] == [(1, 8, 8)] * 3


@pytest.mark.parametrize("name", ["workers", "seed"])
def test_a_negative_number_is_refused(root: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"data\.{name} is -1; wanted 0 or more"):
        CroplandDataModule(root=root, **{name: -1})


def test_an_alpha_band_is_read_as_data_only_if_named(tmp_path: Path, write_raster: Callable[..., Path]) -> None:
    meanings = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    write_raster(tmp_path / "images" / "a.tif", np.full((4, 8, 8), 9, np.uint8), meanings=meanings)
    write_raster(tmp_path / "masks" / "a.tif", np.zeros((8, 8), np.uint8))
    unnamed, named = CroplandDataModule(root=tmp_path), CroplandDataModule(root=tmp_path, bands=[4, 1])
    assert (unnamed.bands, named.bands) == ([1, 2, 3], [4, 1])
    assert "--data.bands=[1, 2, 3, 4]" in unnamed.note
    assert named.note == ""


@pytest.mark.parametrize(("nodata", "noted"), [(-9999.0, True), (0.0, False), (None, False)])
def test_a_nodata_value_that_no_training_pixel_has_gets_a_note(
    make_dataset: Callable[..., Path], tmp_path: Path, nodata: float | None, noted: bool
) -> None:
    root = make_dataset(tmp_path / "data")
    note = f"note: {root}: no pixel has the value of --data.nodata=-9999; check the value\n" if noted else ""
    assert CroplandDataModule(root=root, nodata=nodata).note == note


@pytest.fixture
def dated(tmp_path: Path, make_dataset: MakeDataset) -> Path:
    """A dataset of two dates with two bands each; the first date lacks the upper rows of all scenes."""
    root = make_dataset(tmp_path / "dated", bands=4)
    for path in (root / "images").iterdir():
        with rasterio.open(path, "r+") as image:
            pixels = image.read()
            pixels[:2, :5, 4:] = 0
            image.write(pixels)
            image.descriptions = ("B04@2024-05-11", "B08@2024-05-11", "B04@2024-08-03", "B08@2024-08-03")
    return root


def test_a_missing_date_is_filled_with_its_means_and_does_not_count(dated: Path) -> None:
    changes = AugmentationConfig(gain=0.5, noise=0.5, scale=0.2, rotation=10, frequency=1)
    data = CroplandDataModule(root=dated, fold=4, augmentation=changes)
    mean = data.statistics.mean
    assert [round(value, -3) for value in mean] == [1000, 2000, 3000, 4000]
    for batch in training_batches(data).values():
        image, mask = batch["image"][0], batch["mask"][0]
        missing = (image[0] == np.float32(mean[0])) & (image[1] == np.float32(mean[1])) & (mask != IGNORE)
        assert missing.any()
        assert (image[2][missing] != np.float32(mean[2])).all()
    for batch in data.val_dataloader():
        assert (batch["image"][0, 0, 2:5, 4:] == np.float32(mean[0])).all()
        assert (batch["mask"][0, 2:5, 4:] != IGNORE).any()


def test_dropping_dates_without_two_dates_is_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"date_dropout is 0.2, but the bands have fewer than two dates"):
        CroplandDataModule(root=root, augmentation=AugmentationConfig(date_dropout=0.2))


def test_each_scene_is_matched_to_the_training_images(root: Path) -> None:
    with rasterio.open(root / "images" / "scene_1.tif", "r+") as dataset:
        dataset.write((dataset.read() // 8).astype(np.uint16))
        dataset.scales = (8, 8, 8)
    data = CroplandDataModule(root=root, fold=4, augmentation=STILL)
    data.by_scene = True
    data.setup("fit")
    batches = [*data.train_dataloader(), *data.val_dataloader()]
    assert len(batches) == 5
    for batch in batches:
        image, valid = batch["image"][0], batch["image"][0, 0] != data.statistics.mean[0]
        assert image[:, valid].mean(dim=1).tolist() == pytest.approx(data.statistics.mean, rel=1e-3)
        assert image[:, valid].std(dim=1).tolist() == pytest.approx(data.statistics.std, rel=1e-2)
