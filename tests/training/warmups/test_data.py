from itertools import pairwise
from pathlib import Path

import lightning as L
import numpy as np
import pytest
from torch.utils.data import RandomSampler

from seg.errors import ConfigError
from seg.training.warmups.data import WarmupData
from support.training import quiet_trainer
from support.warm_runs import SIDES, SceneModule, Scenes, Steps, example, new_task, run_and_resume

QUALITY = (0.2, 0.9, 0.5, 0.9, 0.1, 0.7, 0.3)


class Shown(L.Callback):
    """Record the scenes of each epoch."""

    def __init__(self) -> None:
        self.epochs: list[list[int]] = []

    def on_train_epoch_start(self, *_: object) -> None:
        self.epochs.append([])

    def on_train_batch_start(self, trainer: object, pl_module: object, batch: dict[str, object], _: int) -> None:
        self.epochs[-1] += [int(name.removeprefix("scene_")) for name in batch["name"]]


def weighted() -> SceneModule:
    return SceneModule(Scenes([example(*side, index) for index, side in enumerate(SIDES)], QUALITY))


def shown(warm_up: WarmupData, data: SceneModule | None = None, **options: object) -> list[list[int]]:
    noted = Shown()
    quiet_trainer([warm_up, noted], **options).fit(new_task(), datamodule=data or SceneModule())
    return noted.epochs


def test_epochs_grow_from_a_share_to_all_samples_and_never_drop_one() -> None:
    epochs = shown(WarmupData(share=0.25, epochs=3), max_epochs=5)
    assert [len(epoch) for epoch in epochs] == [2, 4, 6, 7, 7]
    assert all(set(one) <= set(following) for one, following in pairwise(epochs))
    assert all(len(set(epoch)) == len(epoch) for epoch in epochs)


def test_the_seed_decides_the_samples() -> None:
    first, again, other = SceneModule(), SceneModule(), SceneModule()
    other.seed = 3
    epochs = [shown(WarmupData(share=0.5, epochs=2), data, max_epochs=1) for data in (first, again, other)]
    assert epochs[0] == epochs[1] != epochs[2]


def test_the_scenes_of_highest_weight_come_first() -> None:
    epochs = shown(WarmupData(share=0.4, epochs=2, by="weight"), weighted(), max_epochs=2)
    assert [set(epoch) for epoch in epochs] == [{1, 3, 5}, {1, 3, 5, 2, 6}]


def test_the_largest_scenes_come_first() -> None:
    (epoch,) = shown(WarmupData(share=0.4, epochs=2, by="size"), max_epochs=1)
    assert set(epoch) == set(np.argsort([-height * width for height, width in SIDES])[:3])


def test_lightning_steps_and_validates_at_the_end_of_each_epoch_of_any_length() -> None:
    steps = Steps()
    trainer = quiet_trainer([WarmupData(share=0.25, epochs=3), steps], accumulate_grad_batches=4)
    trainer.fit(new_task(), datamodule=SceneModule())
    assert steps.batches == [2, 4, 6, 7]
    assert steps.validations == [0, 1, 2, 3]
    assert steps.lengths == [2, 4, 4, 2, 4, 3]
    assert trainer.num_training_batches == 7


@pytest.mark.parametrize(("limit", "wanted"), [(3, [2, 3, 3, 3]), (0.5, [1, 2, 3, 3])])
def test_limit_train_batches_is_respected(limit: float, wanted: list[int]) -> None:
    epochs = shown(WarmupData(share=0.25, epochs=3), limit_train_batches=limit)
    assert [len(epoch) for epoch in epochs] == wanted


def test_larger_batches_hold_only_selected_samples() -> None:
    epochs = shown(WarmupData(share=0.4, epochs=2, by="weight"), SceneModule(weighted().scenes, 1000), max_epochs=3)
    assert [sorted(epoch) for epoch in epochs] == [[1, 3, 5], [1, 2, 3, 5, 6], list(range(7))]


def test_without_a_share_nothing_changes() -> None:
    plain = Shown()
    quiet_trainer([plain]).fit(new_task(), datamodule=SceneModule())
    assert shown(WarmupData()) == plain.epochs


@pytest.mark.parametrize("arguments", [{"by": "size", "share": 0.3}, {"share": 0.2}], ids=str)
def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path, arguments: dict[str, object]) -> None:
    run_and_resume(tmp_path, lambda: [WarmupData(epochs=3, **arguments)], accumulate_grad_batches=2).assert_alike()


def test_the_checkpoint_holds_the_ranking(tmp_path: Path) -> None:
    trainer = quiet_trainer([WarmupData(share=0.4, epochs=9, by="weight"), saver := SaveRanking()])
    trainer.fit(new_task(), datamodule=weighted())
    assert saver.ranking[:3] in ([1, 3, 5], [3, 1, 5])
    again = WarmupData(share=0.4, epochs=9)
    again.load_state_dict({"ranking": [6, 5, 4, 3, 2, 1, 0]})
    assert set(shown(again, max_epochs=1)[0]) == {6, 5, 4}


class SaveRanking(L.Callback):
    """Keep the ranking from the callback's state."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        (warm_up,) = (callback for callback in trainer.callbacks if isinstance(callback, WarmupData))
        self.ranking: list[int] = warm_up.state_dict()["ranking"]


def test_chips_cannot_be_ranked() -> None:
    data = SceneModule()
    data.chips.size = 8
    with pytest.raises(ConfigError, match=r"by is size, but the samples are random chips.*data\.chips\.size=null"):
        shown(WarmupData(share=0.5, epochs=2, by="size"), data)
    assert len(shown(WarmupData(share=0.5, epochs=2), data, max_epochs=1)[0]) == 4


def test_a_sampler_without_selection_is_refused() -> None:
    class Foreign(SceneModule):
        def train_dataloader(self) -> object:
            loader = super().train_dataloader()
            return type(loader)(loader.dataset, sampler=RandomSampler(loader.dataset))

    with pytest.raises(ConfigError, match="select samples of a RandomSampler"):
        shown(WarmupData(share=0.5, epochs=2), Foreign())


@pytest.mark.parametrize("arguments", [{"share": 0.0}, {"share": 1.5}, {"share": 0.5}, {"epochs": 3}, {"epochs": -1}])
def test_arguments_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="wanted a share above 0 and below 1 with epochs >= 1"):
        WarmupData(**arguments)
