from types import SimpleNamespace
from typing import Any

import pytest

from seg.training.progress import ends_epoch, epochs_passed, is_last_validation, is_trial
from support.training import quiet_trainer


def trainer(**state: object) -> Any:  # noqa: ANN401  # only the attributes that the functions read
    usual = {"should_stop": False, "max_epochs": 5, "max_steps": -1, "current_epoch": 0, "global_step": 0}
    return SimpleNamespace(**(usual | {"is_last_batch": False, "num_training_batches": 4} | state))


@pytest.mark.parametrize(
    ("state", "last"),
    [
        ({"current_epoch": 3}, False),
        ({"current_epoch": 4}, True),
        ({"should_stop": True}, True),
        ({"max_epochs": -1, "max_steps": 9, "global_step": 8}, False),
        ({"max_epochs": -1, "max_steps": 9, "global_step": 9}, True),
        ({"max_epochs": None}, False),
    ],
)
def test_the_last_validation_follows_the_last_epoch_or_step(state: dict[str, object], last: bool) -> None:
    assert is_last_validation(trainer(**state)) == last


def test_the_last_batch_of_an_epoch_is_found_by_index_or_loader() -> None:
    assert [ends_epoch(trainer(), batch) for batch in range(4)] == [False, False, False, True]
    assert ends_epoch(trainer(is_last_batch=True), 1)


def test_epochs_passed_may_be_fractions() -> None:
    assert epochs_passed(trainer(current_epoch=2), 1) == 2.25
    assert epochs_passed(trainer(current_epoch=2), 9) == 3
    assert epochs_passed(trainer(num_training_batches=0), 0) == 0


def test_fast_dev_run_is_a_trial() -> None:
    assert is_trial(quiet_trainer([], fast_dev_run=True))
    assert not is_trial(quiet_trainer([]))
