import gc
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from seg.data.loading.batching import EpochSampler, stack
from seg.data.loading.loader import Batching, WatchedLoader, build_loader
from seg.data.loading.shared_memory import Handover, Slots
from seg.data.sample import SampleKey, example_bytes
from support.numbered_examples import NumberedExamples

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # warning on a machine with few cores
BYTES = example_bytes(3, 5, 2)


def batch_of(*indexes: int) -> dict[str, Any]:
    examples = NumberedExamples(100)
    return stack([examples[SampleKey(0, index)] for index in indexes])


def received(message: object) -> dict[str, Any]:
    assert isinstance(message, Handover)
    return pickle.loads(pickle.dumps(message))


def assert_holds(batch: dict[str, Any], *indexes: int) -> None:
    wanted = batch_of(*indexes)
    assert batch.keys() == wanted.keys()
    assert batch["name"] == wanted["name"]
    assert batch["image"].dtype == torch.float32
    assert batch["mask"].dtype == torch.uint8
    torch.testing.assert_close(batch["image"], wanted["image"], rtol=0, atol=0)
    torch.testing.assert_close(batch["mask"], wanted["mask"], rtol=0, atol=0)


def test_a_batch_arrives_unchanged() -> None:
    slots = Slots(workers=1, each=1, size=2 * BYTES)
    assert_holds(received(slots.put(0, batch_of(3, 4))), 3, 4)


def test_a_slot_is_reused_after_the_last_view_of_its_tensors_is_released() -> None:
    slots = Slots(workers=1, each=1, size=BYTES)
    kept: Tensor | None = received(slots.put(0, batch_of(7)))["image"][0, 1, 2]
    for _ in range(3):
        assert not isinstance(slots.put(0, batch_of(8)), Handover)
    assert kept is not None
    assert kept.tolist() == [7.0] * 5
    kept = None
    gc.collect()
    assert_holds(received(slots.put(0, batch_of(8))), 8)


def test_each_worker_has_its_own_slots() -> None:
    slots = Slots(workers=2, each=1, size=BYTES)
    first, second = (received(slots.put(worker, batch_of(worker))) for worker in (0, 1))
    assert_holds(first, 0)
    assert_holds(second, 1)


def test_a_batch_too_large_for_a_slot_is_passed_by_pytorch_and_leaves_the_slot_free() -> None:
    slots = Slots(workers=1, each=1, size=BYTES)
    batch = slots.put(0, batch_of(1, 2, 3))
    assert isinstance(batch, dict)
    assert_holds(batch, 1, 2, 3)
    assert slots.taken == 0


def loader(count: int) -> WatchedLoader:
    return build_loader(NumberedExamples(count), Batching(EpochSampler(count, None), batch_bytes=BYTES), 1)


def test_batches_that_are_still_held_never_change() -> None:
    count = 90
    batches = loader(count)
    assert len(batches) == count
    for _ in range(2):
        held = list(batches)
        assert len(held) == count
        for index, batch in enumerate(held):
            assert_holds(batch, index)


def test_an_unfinished_epoch_leaves_its_slots_free() -> None:
    batches = loader(60)
    slots = batches.dataset.slots
    assert isinstance(slots, Slots)
    for _ in range(3):
        for index, batch in zip(range(2), batches, strict=False):
            assert_holds(batch, index)
    batch = None
    assert [int(found["mask"][0, 0, 0]) for found in batches] == list(range(60))
    gc.collect()
    assert slots.taken == 0
