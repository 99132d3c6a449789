from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import yaml

from seg.data.samples.chips import ChipConfig
from seg.data.unlabelled_module import UnlabelledDataModule
from seg.errors import ConfigError, PackageError
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.package.checkpoint import read_checkpoint
from seg.package.write import write_package
from seg.training.checkpoints.atomic_io import AtomicCheckpointIO
from seg.training.checkpoints.exact_resume import ExactResume, SeedBatches
from seg.training.checkpoints.saving import LastCheckpoint
from seg.training.initial_weights import take_weights
from seg.training.tasks.pretext import HidingConfig, PretextTask, hidden_parts
from support.commands import assert_mistake, run_command
from support.networks import TINY, TINY_NETWORK
from support.resume_runs import KillAt, Killed, content, differences
from support.training import quiet_trainer

BLOCKS = HidingConfig(smallest=4, largest=8, band=0.0)


def filled_task(**hiding: float) -> PretextTask:
    torch.manual_seed(0)
    task = PretextTask(bands=3, model=TINY_NETWORK, hiding=replace(BLOCKS, **hiding))
    task.fill_normalization([100.0] * 3, [10.0] * 3)
    return task


def test_a_share_of_the_blocks_is_hidden_in_all_bands() -> None:
    hidden = hidden_parts((3, 200, 300), HidingConfig(band=0.0), seed=1)
    assert hidden.shape == (3, 200, 300)
    assert torch.equal(hidden[0], hidden[2])
    assert float(hidden[0].float().mean()) == pytest.approx(0.6, abs=0.08)
    edges = int((hidden[0, :, 1:] != hidden[0, :, :-1]).sum())
    assert edges < hidden[0].numel() / 16


def test_one_whole_band_may_be_hidden_but_never_an_only_band() -> None:
    hidden = [hidden_parts((3, 64, 64), HidingConfig(band=1.0), seed=seed) for seed in range(9)]
    whole = [[bool(band.all()) for band in parts] for parts in hidden]
    assert all(sum(bands) == 1 for bands in whole)
    assert len({tuple(bands) for bands in whole}) == 3
    assert not hidden_parts((1, 64, 64), HidingConfig(band=1.0), seed=0).all()


def test_the_same_seed_hides_the_same_parts() -> None:
    first, again, other = (hidden_parts((3, 40, 40), BLOCKS, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_hidden_pixels_do_not_reach_the_network() -> None:
    task = filled_task().eval()
    image, changed = (100 + 10 * torch.randn(1, 3, 32, 32) for _ in range(2))
    hidden = hidden_parts((3, 32, 32), BLOCKS, seed=3)[None]
    valid = torch.ones(1, 32, 32, dtype=torch.bool)
    with torch.no_grad():
        found, _ = task.filled(image, hidden, valid)
        same, _ = task.filled(torch.where(hidden, changed, image), hidden, valid)
        other, _ = task.filled(torch.where(hidden, image, changed), hidden, valid)
    assert torch.equal(found, same)
    assert not torch.equal(found, other)


def test_skip_connections_are_hidden_too() -> None:
    task = filled_task().eval()
    everywhere = torch.ones(1, 3, 32, 32, dtype=torch.bool)
    everywhere[..., :8] = False
    seen: list[torch.Tensor] = []
    backbone = task.model.network.backbone
    decoder = task.model.network.decoder
    handle = decoder.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[1]))
    with torch.no_grad():
        task.filled(torch.full((1, 3, 32, 32), 120.0), everywhere, everywhere[:, 0])
    handle.remove()
    assert not backbone._forward_hooks
    for skip in seen:
        columns = skip.shape[-1] // 4
        assert not skip[..., columns:].any()


def test_pixels_without_data_do_not_count_in_the_loss() -> None:
    task = filled_task().eval()
    image = 100 + 10 * torch.randn(1, 3, 32, 32)
    hidden = hidden_parts((3, 32, 32), BLOCKS, seed=3)[None]
    left = torch.zeros(1, 32, 32, dtype=torch.bool)
    left[..., :16] = True
    with torch.no_grad():
        found, loss = task.filled(image, hidden, left)
    errors = torch.nn.functional.smooth_l1_loss(found / 10, image / 10, reduction="none")
    assert loss == pytest.approx(float(errors[hidden & left].mean()), rel=1e-4)


def test_all_layers_except_the_head_get_gradients() -> None:
    task = filled_task().train()
    image = 100 + 10 * torch.randn(1, 3, 32, 32)
    _, loss = task.filled(image, hidden_parts((3, 32, 32), BLOCKS, seed=3)[None], torch.ones(1, 32, 32) > 0)
    loss.backward()
    without = {name for name, weight in task.model.named_parameters() if weight.grad is None}
    assert without == {"network.head.weight", "network.head.bias"}


def test_other_architectures_and_impossible_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match="wanted dilated"):
        PretextTask(bands=3, model=ModelConfig(architecture="unet", encoder="resnet18"))
    for wrong in ({"share": 1.0}, {"smallest": 0}, {"smallest": 9, "largest": 8}, {"band": 2.0}):
        with pytest.raises(ConfigError, match=r"model\.hiding"):
            HidingConfig(**wrong)


@pytest.fixture(scope="module")
def run(write_raster: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run on unlabelled scenes for two epochs; its configuration lies beside it."""
    folder = tmp_path_factory.mktemp("pretext")
    place = rasterio.Affine(10, 0, 900_000, 0, -10, 5_000_000)
    for number in range(3):
        image = np.random.default_rng(number).integers(500, 4000, (3, 24, 20), dtype=np.uint16)
        write_raster(folder / "scenes" / f"{number}.tif", image, transform=place)
    content = {
        "task": "pretext",
        "data": {"unlabelled": str(folder / "scenes"), "chips": {"size": 16, "per_epoch": 4}},
        "model": {"model": TINY, "hiding": {"smallest": 4, "largest": 8}},
        "panels": {"every_epochs": 1},
        "tracking": {"tensorboard": False},
        "trainer": {"default_root_dir": str(folder / "run"), "max_epochs": 2, "accelerator": "cpu"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    ran = run_command("train fit", f"--config={folder / 'config.yaml'}")
    assert ran.status == 0, ran.err
    return folder / "run"


def test_a_run_logs_its_loss_and_draws_filled_images(run: Path) -> None:
    columns = (run / "metrics.csv").read_text().splitlines()[0].split(",")
    assert {"val/loss", "train/loss"} <= set(columns)
    assert "val/iou" not in columns
    assert sorted(path.name for path in (run / "panels" / "filled").iterdir()) == ["epoch_0001.png", "epoch_0002.png"]


def test_a_training_on_labels_starts_from_all_layers_but_the_head(run: Path) -> None:
    taken = take_weights(build_model(TINY_NETWORK, bands=3), run / "checkpoints" / "last.ckpt")
    assert set(taken.left) == {"network.head.weight", "network.head.bias"}
    assert "not trained in a pretext" in str(taken)


def test_a_checkpoint_of_a_pretext_cannot_map_and_has_no_score(run: Path, tmp_path: Path) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    with pytest.raises(PackageError, match=r"train on labels from it with --model\.initial_weights="):
        write_package(read_checkpoint(checkpoint), tmp_path / "model")
    ran = run_command("train validate", f"--ckpt_path={checkpoint}", f"--data.root={tmp_path}")
    assert ran.status == 2
    assert "--model.initial_weights=" in ran.err


def _train(scenes: Path, folder: Path, resumed: Path | None = None, kill_at: int | None = None) -> Path:
    """Train for two epochs of four steps, and return the last checkpoint."""
    torch.manual_seed(0 if resumed is None else 1)
    data = UnlabelledDataModule(unlabelled=scenes, chips=ChipConfig(size=16, per_epoch=4))
    task = PretextTask(bands=3, model=TINY_NETWORK, hiding=BLOCKS)
    task.fill_normalization(data.statistics.mean, data.statistics.std)
    stop = [] if kill_at is None else [KillAt(kill_at)]
    callbacks = [ExactResume(), SeedBatches(0), *stop, LastCheckpoint(dirpath=str(folder), every_steps=1)]
    trainer = quiet_trainer(callbacks, enable_checkpointing=True, plugins=[AtomicCheckpointIO()], max_epochs=2)
    with suppress(Killed):
        trainer.fit(task, data, ckpt_path=resumed, weights_only=True if resumed else None)
    return folder / "last.ckpt"


def test_a_killed_pretext_resumes_to_the_same_weights(run: Path, tmp_path: Path) -> None:
    scenes = run.parent / "scenes"
    whole = _train(scenes, tmp_path / "whole")
    killed = _train(scenes, tmp_path / "killed", kill_at=6)  # within the second epoch
    assert differences(content(whole), content(killed))
    resumed = _train(scenes, tmp_path / "killed", resumed=killed)
    assert differences(content(whole), content(resumed)) == []


def test_labels_are_not_options_of_a_pretext(run: Path) -> None:
    config = f"--config={run.parent / 'config.yaml'}"
    assert_mistake(run_command("train fit", config, "--data.root=mydata"), "data.root")
