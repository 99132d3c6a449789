import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from seg.data.augmentation.pipeline import AugmentationConfig
from seg.data.datamodule import CroplandDataModule
from seg.data.loading.batching import EpochSampler
from seg.data.loading.loader import (
    Batching,
    LoaderConfig,
    WatchedLoader,
    build_loader,
)
from seg.data.loading.worker_watch import (
    WorkerNotes,
    note_samples_in,
    unfinished,
    watched,
)
from seg.data.samples.chips import ChipConfig
from seg.errors import ConfigError, DatasetError, RasterError
from support.failing_examples import FailingExamples

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # warning on a machine with few cores
STRONG = AugmentationConfig(gain=0.1, offset=0.1, noise=0.1)


def loader(trouble: str, timeout: float = 60.0) -> WatchedLoader:
    """Loader with one worker, so that samples are loaded one after the other."""
    return build_loader(FailingExamples(trouble), Batching(EpochSampler(4, None)), 1, LoaderConfig(timeout=timeout))


def test_a_dead_worker_is_an_error_that_names_the_sample() -> None:
    with pytest.raises(DatasetError, match=r"^scene_2\.tif: the worker process died while loading.*workers") as caught:
        list(loader("die"))
    assert "\n" not in str(caught.value)


def test_a_stuck_worker_is_an_error_that_names_the_sample_within_the_timeout() -> None:
    batches = iter(loader("sleep", timeout=0.5))
    assert [next(batches)["name"] for _ in range(2)] == [["scene_0.tif"], ["scene_1.tif"]]
    since = time.monotonic()
    with pytest.raises(DatasetError, match=r"^scene_2\.tif: not loaded after .* data\.loader\.timeout, 0\.5;"):
        next(batches)
    assert time.monotonic() - since < 5


def test_an_error_of_a_worker_stays_one_line_and_keeps_its_class() -> None:
    with pytest.raises(RasterError, match=r"^scene_2\.tif: is damaged; fetch it again$"):
        list(loader("damage"))


@pytest.mark.campaign
def test_persistent_workers_load_several_epochs_and_leave_no_notes() -> None:
    sound = loader("none")
    assert isinstance(sound.worker_init_fn, WorkerNotes)
    folder = sound.worker_init_fn.folder
    handler = signal.getsignal(signal.SIGCHLD)
    assert [len(list(sound)), len(list(sound))] == [4, 4]
    assert signal.getsignal(signal.SIGCHLD) == handler
    assert unfinished(folder) == []
    del sound
    assert not folder.exists()


def test_a_sample_is_noted_while_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seg.data.loading.worker_watch._note", None)
    note_samples_in(tmp_path)
    with watched("a.tif"):
        [sample] = unfinished(tmp_path)
    assert (sample.name, unfinished(tmp_path)) == ("a.tif", [])


@pytest.mark.parametrize(("name", "value"), [("timeout", 0), ("timeout", float("nan")), ("prefetch_factor", 0)])
def test_a_timeout_or_prefetch_factor_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"data\.loader\.{name} is {value:g}; wanted"):
        LoaderConfig(**{name: value})  # type: ignore[arg-type]


@pytest.fixture
def root(make_dataset: Callable[..., Path], tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data", sizes=[(16, 16), (20, 13), (20, 13), (20, 13), (13, 20)])


def epoch_of(data: CroplandDataModule, epoch: int) -> list[dict[str, Tensor]]:
    batches = data.train_dataloader()
    for sampler in (batches.sampler, getattr(batches.batch_sampler, "sampler", None)):
        if isinstance(sampler, EpochSampler):
            sampler.set_epoch(epoch)
    return list(batches)


def same(first: list[dict[str, Tensor]], second: list[dict[str, Tensor]]) -> bool:
    return [batch["name"] for batch in first] == [batch["name"] for batch in second] and all(
        torch.equal(one[key], other[key]) for one, other in zip(first, second, strict=True) for key in ("image", "mask")
    )


# Left out of the usual run, where a shorter test compares single samples that two workers load.
@pytest.mark.campaign
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_batches_with_and_without_workers_are_bit_identical(root: Path, workers: int) -> None:
    chips = ChipConfig(size=8, per_epoch=9, sampling="cropland")
    alone, several = (
        CroplandDataModule(root=root, augmentation=STRONG, workers=count, chips=chips, batch_pixels=600)
        for count in (0, workers)
    )
    expected = epoch_of(alone, 3)
    assert same(epoch_of(several, 3), expected)
    assert not same(epoch_of(alone, 4), expected)


def test_an_epoch_after_resuming_equals_the_epoch_of_an_uninterrupted_run(root: Path) -> None:
    chips = ChipConfig(size=8, per_epoch=9)
    through, resumed = (CroplandDataModule(root=root, augmentation=STRONG, chips=chips) for _ in range(2))
    whole = [epoch_of(through, epoch) for epoch in range(3)]
    assert same(epoch_of(resumed, 2), whole[2])


def test_scenes_of_equal_size_share_a_batch_even_after_quarter_turns(root: Path) -> None:
    data = CroplandDataModule(root=root, fold=0, augmentation=STRONG, batch_pixels=3 * 260)
    for epoch in range(4):
        shapes = sorted(tuple(batch["mask"].shape) for batch in epoch_of(data, epoch))
        assert shapes == [(1, 13, 20), (3, 20, 13)]


def test_padded_batches_hold_scenes_of_all_sizes(root: Path) -> None:
    data = CroplandDataModule(root=root, augmentation=STRONG, batch_pixels=4 * 400, pad_batches=True)
    [batch] = epoch_of(data, 0)
    assert batch["mask"].shape == (4, 20, 20)


def test_padding_needs_batch_pixels(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.pad_batches is true, .*set data\.batch_pixels"):
        CroplandDataModule(root=root, pad_batches=True)


def test_with_chips_a_scene_may_be_of_any_size(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seg.data.dataset.checks.MAX_VALUES", 10)
    data = CroplandDataModule(root=root, fold=1, chips=ChipConfig(size=8, per_epoch=5), batch_pixels=128)
    data.setup("fit")
    assert [tuple(batch["mask"].shape) for batch in epoch_of(data, 0)] == [(2, 8, 8), (2, 8, 8), (1, 8, 8)]
    assert data.median_side == 8


def test_grid_chips_hold_each_label_of_the_held_out_scenes_exactly_once(root: Path) -> None:
    def counts(data: CroplandDataModule) -> list[int]:
        seen = torch.cat([batch["mask"].flatten() for batch in data.val_dataloader()])
        return [int((seen == value).sum()) for value in (0, 1)]

    chips = ChipConfig(size=8, halo=1)
    assert counts(CroplandDataModule(root=root, fold=1, chips=chips, batch_pixels=300)) == counts(
        CroplandDataModule(root=root, fold=1)
    )
    assert np.prod(counts(CroplandDataModule(root=root, fold=1))) > 0
