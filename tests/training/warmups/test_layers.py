from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from seg.errors import ConfigError
from seg.training.batch_norm import FreezeBatchNorm
from seg.training.tasks.cropland import CroplandTask
from seg.training.warmups.layers import WarmupLayers
from support.networks import STAGED_NETWORK
from support.training import quiet_trainer
from support.warm_runs import SceneModule, new_task, run_and_resume

STAGES = 5
"""Backbone stages of the tiny network."""


class Frozen(L.Callback):
    """Record the stages whose weights or statistics changed in each epoch; the deepest stage is first."""

    def __init__(self) -> None:
        self.changed: list[list[bool]] = []
        self.others: list[bool] = []
        self.used: list[dict[int | None, float]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.optimizers[0].register_step_pre_hook(
            lambda optimizer, *_: self.used.append({g.get("stage"): g["lr"] for g in optimizer.param_groups})
        )

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.before = stage_states(pl_module)
        self.head = pl_module.model.network.head.weight.detach().clone()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pairs = zip(self.before, stage_states(pl_module), strict=True)
        self.changed.append([any(not torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in pairs])
        self.others.append(not torch.equal(self.head, pl_module.model.network.head.weight))


def layers_of(task: nn.Module) -> list[list[nn.Module]]:
    """Names of the layers of each stage; the deepest stage is first."""
    encoder = task.model.network.backbone.encoder.model
    deep = [encoder.layer4, encoder.layer3, encoder.layer2, encoder.layer1]
    return [list(stage.modules()) for stage in deep] + [[*encoder.conv1.modules(), encoder.bn1]]


def stage_states(task: nn.Module) -> list[list[Tensor]]:
    return [
        [
            value.detach().clone()
            for layer in stage
            for value in (*layer.parameters(recurse=False), *layer.buffers(recurse=False))
        ]
        for stage in layers_of(task)
    ]


def watch(*callbacks: L.Callback, **options: object) -> tuple[Frozen, CroplandTask]:
    noted, task = Frozen(), new_task(network=STAGED_NETWORK)
    quiet_trainer([*callbacks, noted], **options).fit(task, datamodule=SceneModule())
    return noted, task


def test_stages_are_released_from_the_deepest_on_and_frozen_stages_do_not_change() -> None:
    noted, _ = watch(WarmupLayers(frozen_epochs=2), max_epochs=8)
    assert [changed.count(True) for changed in noted.changed] == [0, 0, 1, 2, 3, 4, 5, 5]
    assert all(changed == sorted(changed, reverse=True) for changed in noted.changed)
    assert all(noted.others)


@pytest.mark.parametrize(("stage_epochs", "wanted"), [(0, [0, 5, 5, 5]), (2, [0, 1, 1, 2])])
def test_stage_epochs_sets_the_time_between_releases(stage_epochs: int, wanted: list[int]) -> None:
    noted, _ = watch(WarmupLayers(frozen_epochs=1, stage_epochs=stage_epochs))
    assert [changed.count(True) for changed in noted.changed] == wanted


@pytest.mark.parametrize("factor", [0.1, [0.5, 0.4, 0.3, 0.2, 0.1]])
def test_the_backbone_has_lower_rates_than_the_decoder(factor: float | list[float]) -> None:
    noted, _ = watch(WarmupLayers(frozen_epochs=1, rate_factor=factor))
    factors = factor if isinstance(factor, list) else [factor] * STAGES
    for rates in noted.used:
        assert [rates[stage] / rates[None] for stage in range(STAGES)] == pytest.approx(factors)


def test_every_parameter_is_in_one_group_and_norms_do_not_decay() -> None:
    task = new_task(network=STAGED_NETWORK)
    trainer = quiet_trainer([WarmupLayers(frozen_epochs=1)], max_epochs=1)
    trainer.fit(task, datamodule=SceneModule())
    groups = trainer.optimizers[0].param_groups
    assert [group.get("stage") for group in groups] == [None, None, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert [group["weight_decay"] for group in groups] == [1e-2, 0.0] * 6
    assert len({weight for group in groups for weight in group["params"]}) == len(list(task.parameters()))


def test_by_default_nothing_changes() -> None:
    noted, task = watch(WarmupLayers(), max_epochs=2)
    plain, other = watch(max_epochs=2)
    assert noted.used == plain.used
    assert all(torch.equal(one, two) for one, two in zip(task.parameters(), other.parameters(), strict=True))


def test_nothing_stays_frozen_after_training() -> None:
    _, task = watch(WarmupLayers(frozen_epochs=9), max_epochs=1)
    assert all(weight.requires_grad for weight in task.parameters())
    assert all(layer.training for layer in task.model.modules())


@pytest.mark.parametrize("frozen_epochs", [2, *(pytest.param(n, marks=pytest.mark.campaign) for n in (1, 3, 9))])
def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path, frozen_epochs: int) -> None:
    run_and_resume(
        tmp_path, lambda: [WarmupLayers(frozen_epochs=frozen_epochs)], lambda: new_task(network=STAGED_NETWORK)
    ).assert_alike()


class Norms(L.Callback):
    """Record the number of norms in evaluation mode."""

    def __init__(self) -> None:
        self.frozen: list[int] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        self.frozen.append(sum(not m.training for m in pl_module.modules() if isinstance(m, _BatchNorm)))


def test_frozen_batch_norm_stays_frozen_when_its_stage_is_released() -> None:
    norms = Norms()
    _, task = watch(WarmupLayers(frozen_epochs=2), FreezeBatchNorm(after=0.5), norms, max_epochs=4)
    count = sum(isinstance(layer, _BatchNorm) for layer in task.modules())
    assert 0 < norms.frozen[0] < count
    assert set(norms.frozen[14:]) == {count}


def test_parameters_frozen_before_the_training_stay_frozen() -> None:
    task = new_task(network=STAGED_NETWORK)
    stem = task.model.network.backbone.encoder.model.conv1[0].weight.requires_grad_(False)
    before = stem.clone()
    quiet_trainer([WarmupLayers(frozen_epochs=1, stage_epochs=0)], max_epochs=3).fit(task, datamodule=SceneModule())
    assert torch.equal(stem, before)
    assert not stem.requires_grad


def test_a_wrong_number_of_factors_is_refused() -> None:
    with pytest.raises(ConfigError, match="rate_factor has 2 factors, but the backbone has 5 stages"):
        watch(WarmupLayers(frozen_epochs=1, rate_factor=[0.1, 0.2]))


@pytest.mark.parametrize(
    "arguments", [{"frozen_epochs": -1}, {"stage_epochs": -1}, {"rate_factor": 0.0}, {"rate_factor": []}], ids=str
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="wanted epochs >= 0 and factors > 0"):
        WarmupLayers(**arguments)
