"""A training that is killed and resumed, even within an epoch, equals an uninterrupted training to the bit."""

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging

from seg.data.augmentation.mixing import MixingConfig
from seg.data.samples.chips import ChipConfig
from seg.losses.config import LossConfig
from seg.training.batch_norm import FreezeBatchNorm
from seg.training.callbacks import CALLBACK_KEYS
from seg.training.checkpoints.exact_resume import STATE, SeedBatches, random_states, restore_random_states
from seg.training.optimizer import OptimizerConfig
from seg.training.schedule import ScheduleConfig
from seg.training.warmups.batch import WarmupBatch
from seg.training.warmups.data import WarmupData
from seg.training.warmups.layers import WarmupLayers
from seg.training.warmups.learning_rate import WarmupLearningRate
from seg.training.warmups.loss import WarmupLoss
from support.resume_runs import SIZES, Case, content, differences

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:This DataLoader will create . worker processes"
    ),  # warning on a machine with few cores
    pytest.mark.filterwarnings("ignore:You passed in a `val_dataloader` but have no"),
]

WARM_UPS: dict[str, Callable[[], L.Callback]] = {
    "warmup": lambda: WarmupLearningRate(epochs=1.5, shape="cosine"),
    "warmup_batch": lambda: WarmupBatch(steps=5, final=3, learning_rate="sqrt"),
    "warmup_layers": lambda: WarmupLayers(frozen_epochs=1, stage_epochs=1),
    "warmup_data": lambda: WarmupData(share=0.7, epochs=1, by="size"),
    "warmup_loss": lambda: WarmupLoss(epochs=2),
}
SGD = {"optimizer": OptimizerConfig(name="sgd", learning_rate=0.01, nesterov=True), "loss": LossConfig(bce=1, dice=1)}
ONE_CYCLE = {"schedule": ScheduleConfig(name="one_cycle")}


def together() -> list[L.Callback]:
    """All warm-ups, and other callbacks that have a state."""
    return [*(make() for make in WARM_UPS.values()), FreezeBatchNorm(0.5), EMAWeightAveraging(decay=0.9)]


THREE = "together in three epochs"
CASES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "plain": ({"task": ONE_CYCLE}, (4, 10)),
    "accumulated": ({"trainer": {"accumulate_grad_batches": 3}, "task": SGD, "every_steps": 1}, (5, 12)),
    "by steps": ({"trainer": {"max_epochs": -1, "max_steps": 14}}, (8, 12)),
    "validated within epochs": ({"trainer": {"val_check_interval": 2}}, (4, 12)),
    **{name: ({"callbacks": lambda make=make: [make()], "task": SGD}, (3, 9)) for name, make in WARM_UPS.items()},
    "together": ({"callbacks": together, "task": SGD, "every_steps": 1}, (3, 9)),
    THREE: ({"callbacks": together, "trainer": {"max_epochs": 3}}, (6, 16)),
}


@pytest.fixture(scope="module")
def root(make_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "data", sizes=SIZES)


def test_every_warm_up_has_a_case() -> None:
    assert CALLBACK_KEYS.keys() - {"batch_norm"} == WARM_UPS.keys()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.campaign) if name in {*WARM_UPS, THREE} else name for name in CASES]
)
def test_a_killed_and_resumed_training_equals_an_uninterrupted_one(root: Path, tmp_path: Path, name: str) -> None:
    settings, kills = CASES[name]
    whole, killed = Case(root, **settings), Case(root, **settings)
    expected = content(whole.run(tmp_path / "whole"))
    found = content(killed.run_killed_at(tmp_path / "killed", *kills))
    assert found["global_step"] > 2
    assert differences(found, expected) == []
    assert len(killed.seen) - len(whole.seen) <= 3 * len(kills)  # no epoch starts again


@pytest.mark.campaign
def test_resuming_with_worker_loaded_chips_equals_an_uninterrupted_training(root: Path, tmp_path: Path) -> None:
    data = {"chips": ChipConfig(size=8, per_epoch=40), "mixing": MixingConfig(mosaic=0.3), "batch_pixels": 128}
    short = {"max_epochs": 1, "limit_val_batches": 0}  # validation would start a worker too
    whole = Case(root, data=data, trainer=short)
    expected = content(whole.run(tmp_path / "whole"))
    last = whole.run(tmp_path / "killed", kill_at=9)
    assert torch.load(last, weights_only=True)[STATE]["loader"] == {"epoch": 0, "batches": 8}
    seen = [*whole.seen[:20]]
    loaded = Case(root, data=data | {"workers": 1}, trainer=short)
    assert differences(content(loaded.run(tmp_path / "killed", None, last, seed=2)), expected) == []
    assert loaded.seen == seen[8:]


def test_resuming_from_the_best_checkpoint_equals_an_uninterrupted_training(root: Path, tmp_path: Path) -> None:
    case = Case(root, callbacks=together, trainer={"val_check_interval": 3})
    expected = content(case.run(tmp_path / "whole"))
    best = tmp_path / "whole" / "best.ckpt"
    assert 0 < torch.load(best, weights_only=True)["global_step"] < expected["global_step"]
    assert differences(content(case.run(tmp_path / "resumed", None, best, seed=2)), expected) == []


@pytest.mark.campaign
def test_without_the_saved_position_or_states_the_weights_differ(root: Path, tmp_path: Path) -> None:
    case = Case(root)
    expected = content(case.run(tmp_path / "whole"))
    killed = torch.load(case.run(tmp_path / "killed", kill_at=4), weights_only=True)
    for part in ("loader", "random"):
        poorer = killed | {STATE: killed[STATE] | {part: None if part == "loader" else random_states()}}
        torch.save(poorer, tmp_path / "poorer.ckpt")
        found = content(case.run(tmp_path / part, None, tmp_path / "poorer.ckpt", seed=2))
        assert any(name.startswith(".state_dict") for name in differences(found, expected))


def test_all_random_generators_are_restored(tmp_path: Path) -> None:
    def numbers() -> list[float]:
        return [random.random(), random.gauss(0, 1), np.random.normal(), np.random.rand(), float(torch.rand(()))]

    numbers()
    torch.save(random_states(), tmp_path / "states.pt")
    expected = numbers()
    assert numbers() != expected
    restore_random_states(torch.load(tmp_path / "states.pt", weights_only=True))
    assert numbers() == expected


def draw(epoch: int, batch: int, rank: int = 0, processes: int = 1, seed: int = 3) -> float:
    """Random number drawn by a network for a batch."""
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    trainer = SimpleNamespace(world_size=processes, global_rank=rank, current_epoch=epoch, strategy=strategy)
    SeedBatches(seed).on_train_batch_start(trainer, L.LightningModule(), None, batch)
    return float(torch.rand(()))


def test_dropout_depends_on_seed_epoch_and_batch_index_but_not_on_the_number_of_processes() -> None:
    assert draw(1, 6) == draw(1, 6)
    assert len({draw(1, 6), draw(1, 7), draw(2, 6), draw(1, 6, seed=4)}) == 4
    alone = [draw(1, batch) for batch in range(6)]
    assert [draw(1, batch, rank, processes=2) for batch in range(3) for rank in range(2)] == alone
