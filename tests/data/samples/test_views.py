"""Views of unlabelled scenes: their content, their scenes, and their reproducibility."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from seg.data.augmentation.pipeline import AugmentationConfig
from seg.data.datamodule import CroplandDataModule
from seg.data.loading.sharding import PaddingIgnored, padding_key
from seg.data.sample import SampleKey
from seg.data.samples.chips import ChipConfig
from seg.data.samples.views import ViewConfig
from seg.errors import ConfigError, DatasetError
from seg.labels import IGNORE

WriteRaster = Callable[..., Path]
STILL = ViewConfig(count=2, gain=0, offset=0, noise=0, resolution=0, haze=0, shadow=0, band_dropout=0)
CHIPS = ChipConfig(size=8, per_epoch=4)
Batches = list[dict[str, torch.Tensor]]


@pytest.fixture
def scenes(tmp_path: Path, write_raster: WriteRaster) -> Path:
    """Three unlabelled scenes of 12 x 20 pixels with a corner of nodata; no value occurs in two scenes."""
    for number in range(3):
        image = np.random.default_rng(number).integers(1, 4000, (3, 12, 20), dtype=np.uint16)
        image[:, :4, :6] = 0
        write_raster(tmp_path / "scenes" / f"{number}.tif", image, nodata=0)
    return tmp_path / "scenes"


@pytest.fixture
def data_of(make_dataset: Callable[..., Path], tmp_path: Path, scenes: Path) -> Callable[..., CroplandDataModule]:
    root = make_dataset(tmp_path / "data")

    def make(**options: object) -> CroplandDataModule:
        given: dict[str, object] = {"unlabelled": scenes, "views": STILL, "chips": CHIPS, "seed": 3} | options
        maps = given.pop("maps", None)
        data = CroplandDataModule(root=root, **given)  # type: ignore[arg-type]
        data.maps = maps  # type: ignore[assignment]
        data.setup("fit")
        return data

    return make


def batches(data: CroplandDataModule, epoch: int = 0) -> Batches:
    loader = data.train_dataloader()
    loader.batch_sampler.sampler.set_epoch(epoch)
    return list(loader)


def same(first: Batches, second: Batches) -> bool:
    return all(
        torch.equal(one[key], other[key])
        for one, other in zip(first, second, strict=True)
        for key in ("image", "clean", "strong", "source")
    )


def test_a_view_without_changes_is_made_of_clean_pixels(data_of: Callable[..., CroplandDataModule]) -> None:
    mixed = 0
    for batch in batches(data_of(views=replace(STILL, cut_mix=1.0))):
        clean, strong, source = batch["clean"][0], batch["strong"][0], batch["source"][0]
        assert (clean.shape, strong.shape, source.shape) == ((2, 3, 8, 8), (2, 3, 8, 8), (2, 8, 8))
        for view, places in zip(strong, source, strict=True):
            for place in (0, 1):
                assert torch.equal(view[:, places == place], clean[place][:, places == place])
            mixed += int((places == 1).sum())
    assert mixed > 0


def test_cut_mix_takes_missing_data_from_the_sample_of_each_pixel(data_of: Callable[..., CroplandDataModule]) -> None:
    data = data_of(views=replace(STILL, cut_mix=1.0), chips=replace(CHIPS, per_epoch=20))
    fill = torch.tensor(data.statistics.mean, dtype=torch.float32)[:, None]
    from_partner = 0
    for batch in batches(data):
        empty = batch["source"][0] == IGNORE
        for view, hidden, places in zip(batch["strong"][0], empty, batch["source"][0], strict=True):
            assert torch.equal(view[:, hidden], fill.expand(3, int(hidden.sum())))
            assert not (view[:, ~hidden] == fill).all(dim=0).any()
            # Inside the rectangle, nodata is that of the partner, even if the first sample has data there.
            first_empty = (batch["clean"][0, 0] == fill[..., None]).all(dim=0)
            from_partner += int((hidden & ~first_empty).sum())
            assert not (places[first_empty] == 0).any()
    assert from_partner > 0


def test_without_cut_mix_one_clean_image_is_loaded(data_of: Callable[..., CroplandDataModule]) -> None:
    batch = batches(data_of(views=replace(STILL, cut_mix=0.0, count=1)))[0]
    assert batch["clean"].shape == batch["strong"].shape == (1, 1, 3, 8, 8)


def test_strong_views_keep_the_place_of_every_pixel(data_of: Callable[..., CroplandDataModule]) -> None:
    data = data_of(views=ViewConfig(count=2, cut_mix=0, gain=0.05, noise=0.01, resolution=0, shadow=0, band_dropout=0))
    for batch in batches(data):
        clean, views, known = batch["clean"][0, 0], batch["strong"][0], batch["source"][0, 0] != IGNORE
        assert not torch.equal(views[0], views[1])
        for view in views:
            both = torch.stack([clean[0, known], view[0, known]])
            assert float(torch.corrcoef(both)[0, 1]) > 0.8


def test_views_follow_from_seed_epoch_and_index(data_of: Callable[..., CroplandDataModule]) -> None:
    config = ViewConfig(count=2)
    first = batches(data_of(views=config))
    assert same(first, batches(data_of(views=config)))
    assert not same(first, batches(data_of(views=config), epoch=1))
    assert not same(first, batches(data_of(views=config, seed=4)))


def test_labelled_samples_are_those_of_plain_training(data_of: Callable[..., CroplandDataModule]) -> None:
    plain = batches(data_of(views=ViewConfig(), unlabelled=None))
    for one, other in zip(plain, batches(data_of()), strict=True):
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["mask"], other["mask"])


def test_an_epoch_of_whole_scenes_shows_each_unlabelled_scene(data_of: Callable[..., CroplandDataModule]) -> None:
    data = data_of(chips=ChipConfig(), augmentation=AugmentationConfig())
    seen = batches(data)
    assert len(seen) == 4
    assert {batch["unlabelled"][0] for batch in seen} == {"0.tif", "1.tif", "2.tif"}
    assert {batch["clean"].shape for batch in seen} == {(1, 2, 3, 12, 20)}


def test_labelled_scenes_repeat_in_a_longer_epoch_with_other_augmentation(
    data_of: Callable[..., CroplandDataModule], write_raster: WriteRaster, scenes: Path
) -> None:
    for number in range(3, 9):
        write_raster(scenes / f"{number}.tif", np.full((3, 9, 9), number, np.uint16))
    data = data_of(chips=ChipConfig(), augmentation=AugmentationConfig(noise=0.1))
    seen = batches(data)
    assert {batch["unlabelled"][0] for batch in seen} == {f"{number}.tif" for number in range(9)}
    repeated = [batch["image"] for batch in seen if batch["name"] == seen[0]["name"]]
    assert len(repeated) > 1
    assert not any(one.shape == repeated[0].shape and torch.equal(one, repeated[0]) for one in repeated[1:])


def test_batches_of_several_samples_hold_views_of_each(data_of: Callable[..., CroplandDataModule]) -> None:
    chips = batches(data_of(batch_pixels=128))
    assert {batch["strong"].shape for batch in chips} == {(2, 2, 3, 8, 8)}
    whole = batches(data_of(chips=ChipConfig(), batch_pixels=1200, pad_batches=True))
    assert all(len(batch["strong"]) == len(batch["image"]) for batch in whole)


def test_a_sample_repeated_to_pad_a_process_has_no_target(data_of: Callable[..., CroplandDataModule]) -> None:
    examples = PaddingIgnored(data_of().train_dataloader().dataset.examples)
    assert (examples[padding_key(SampleKey(0, 0))]["source"] == IGNORE).all()
    assert not (examples[SampleKey(0, 0)]["source"] == IGNORE).all()


@pytest.mark.campaign
def test_worker_processes_give_the_same_views(data_of: Callable[..., CroplandDataModule]) -> None:
    assert same(batches(data_of()), batches(data_of(workers=1)))


def test_the_map_of_a_teacher_moves_with_the_image(
    data_of: Callable[..., CroplandDataModule], scenes: Path, tmp_path: Path, write_raster: WriteRaster
) -> None:
    for number in range(3):
        percent = (np.arange(240).reshape(12, 20) % 101).astype(np.uint8)
        percent[-1, -1] = 255
        write_raster(tmp_path / "maps" / f"{number}_probability.tif", percent, nodata=255)
        image = np.repeat(percent[None].astype(np.uint16) + 1, 3, axis=0)
        write_raster(scenes / f"{number}.tif", image)
    data = data_of(maps=tmp_path / "maps", augmentation=AugmentationConfig())
    for batch in batches(data):
        percent, clean = batch["clean_percent"][0], batch["clean"][0]
        shown = percent != IGNORE
        assert torch.equal(clean[:, 0][shown], percent[shown].float() + 1)
        assert (batch["percent"] == IGNORE).all()  # labelled scenes have no map


def test_an_unlabelled_scene_without_a_map_is_refused(
    data_of: Callable[..., CroplandDataModule], tmp_path: Path, write_raster: WriteRaster
) -> None:
    write_raster(tmp_path / "maps" / "0_probability.tif", np.zeros((12, 20), np.uint8))
    (tmp_path / "scenes" / "1.tif").rename(tmp_path / "scenes" / "x.tif")
    write_raster(tmp_path / "scenes" / "x.tif", np.ones((3, 5, 5), np.uint16))
    with pytest.raises(DatasetError, match=r"x\.tif: no map in .*maps lies on its grid"):
        data_of(maps=tmp_path / "maps")


def test_a_map_on_another_grid_is_refused(
    data_of: Callable[..., CroplandDataModule], tmp_path: Path, write_raster: WriteRaster
) -> None:
    write_raster(tmp_path / "maps" / "0_probability.tif", np.zeros((12, 21), np.uint8))
    with pytest.raises(DatasetError, match=r"0_probability\.tif: size is 21x12, but .*0\.tif has 20x12"):
        data_of(maps=tmp_path / "maps")


def test_without_unlabelled_scenes_there_are_no_views(data_of: Callable[..., CroplandDataModule]) -> None:
    data = data_of(unlabelled=None)
    assert not data.loads_views
    assert "clean" not in batches(data)[0]


def test_an_unlabelled_scene_too_large_to_load_whole_is_refused(
    data_of: Callable[..., CroplandDataModule], scenes: Path, write_raster: WriteRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_raster(scenes / "large.tif", np.ones((3, 20, 20), np.uint16))
    monkeypatch.setattr("seg.data.dataset.checks.MAX_VALUES", 1000)
    with pytest.raises(DatasetError, match=r"large\.tif: has 20x20 pixels in 3 bands"):
        data_of(chips=ChipConfig())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": -1}, r"data\.views\.count is -1"),
        ({"cut_mix": 1.5}, r"data\.views\.cut_mix is 1\.5"),
        ({"haze": -1.0}, r"data\.views\.haze is -1"),
    ],
)
def test_a_number_out_of_range_is_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ViewConfig(**options)  # type: ignore[arg-type]


def test_a_note_says_that_plain_training_leaves_unlabelled_scenes_out(
    data_of: Callable[..., CroplandDataModule],
) -> None:
    data = data_of(views=ViewConfig())
    assert "scenes: not used in training; to learn from unlabelled scenes too, add --task=student" in data.note
    assert "clean" not in batches(data)[0]
