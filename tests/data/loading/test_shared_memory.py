import gc
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seg.data.loading.batching import EpochSampler, stack
from seg.data.loading.loader import Batching, WatchedLoader, build_loader
from seg.data.loading.shared_memory import Handover, Slots, image_memory
from seg.data.sample import SampleKey, example_bytes
from support.numbered_examples import NumberedExamples

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on a machine with few cores
BYTES = example_bytes(3, 5, 2)


def batch_of(*indexes: int) -> dict[str, Any]:
    examples = NumberedExamples(100)
    return stack([examples[SampleKey(0, index)] for index in indexes])


def sent(slots: Slots, *indexes: int, worker: int = 0, alone: bool = False) -> Handover | dict[str, Any]:
    """As the worker with that number does it."""
    with slots.filling(worker, alone) as filling:
        batch = batch_of(*indexes)
        return batch if filling is None else filling.put(batch)


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


def test_a_batch_arrives_as_it_was_sent() -> None:
    slots = Slots(workers=1, each=1, size=2 * BYTES)
    assert_holds(received(sent(slots, 3, 4)), 3, 4)


def test_a_slot_is_used_again_when_the_last_view_of_its_tensors_is_gone() -> None:
    slots = Slots(workers=1, each=1, size=BYTES)
    kept: Tensor | None = received(sent(slots, 7))["image"][0, 1, 2]
    for _ in range(3):
        assert not isinstance(sent(slots, 8), Handover)
    assert kept is not None
    assert kept.tolist() == [7.0] * 5
    kept = None
    gc.collect()
    assert_holds(received(sent(slots, 8)), 8)


def test_each_worker_has_slots_of_its_own() -> None:
    slots = Slots(workers=2, each=1, size=BYTES)
    first, second = (received(sent(slots, worker, worker=worker)) for worker in (0, 1))
    assert_holds(first, 0)
    assert_holds(second, 1)


def test_a_batch_that_is_too_large_goes_the_usual_way_and_leaves_the_slot_free() -> None:
    slots = Slots(workers=1, each=1, size=BYTES)
    batch = sent(slots, 1, 2, 3)
    assert isinstance(batch, dict)
    assert_holds(batch, 1, 2, 3)
    assert slots.taken == 0


def put_with_image_in_slot(slots: Slots, index: int) -> Handover | dict[str, Any]:
    with slots.filling(0, alone=True) as filling:
        assert filling is not None
        batch = batch_of(index)
        image = image_memory((2, 3, 5))
        assert np.shares_memory(image, filling.memory)
        image[...] = batch["image"][0]
        batch["image"] = torch.from_numpy(image)[None]
        return filling.put(batch)


def test_an_image_that_was_read_into_the_slot_arrives() -> None:
    slots = Slots(workers=1, each=1, size=BYTES)
    assert_holds(received(put_with_image_in_slot(slots, 5)), 5)


def test_an_image_in_a_slot_that_turns_out_too_small_is_copied_away() -> None:
    slots = Slots(workers=1, each=2, size=2 * 3 * 5 * 4)
    first, second = put_with_image_in_slot(slots, 5), put_with_image_in_slot(slots, 6)
    assert slots.taken == 0
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert_holds(first, 5)
    assert_holds(second, 6)


def test_a_slot_is_lent_once_and_only_to_a_batch_of_one_sample() -> None:
    slots = Slots(workers=1, each=1, size=BYTES)
    for alone in (True, False):
        with slots.filling(0, alone) as filling:
            assert filling is not None
            images = [image_memory((2, 3, 5)) for _ in range(2)]
            assert [np.shares_memory(image, filling.memory) for image in images] == [alone, False]
    assert slots.taken == 0
    assert image_memory((2, 3, 5)).shape == (2, 3, 5)


def test_a_sample_that_fails_leaves_its_slot_free() -> None:
    slots = Slots(workers=1, each=1, size=BYTES)
    with pytest.raises(KeyError), slots.filling(0, alone=True):
        raise KeyError
    assert slots.taken == 0


def loader(count: int) -> WatchedLoader:
    return build_loader(NumberedExamples(count), Batching(EpochSampler(count, None), batch_bytes=BYTES), 1)


def test_batches_of_a_worker_stay_as_they_are_however_long_they_are_held() -> None:
    count = 90
    batches = loader(count)
    assert len(batches) == count
    for _ in range(2):
        held = list(batches)
        assert len(held) == count
        for index, batch in enumerate(held):
            assert_holds(batch, index)


def test_an_epoch_that_is_broken_off_takes_no_slot_from_the_next() -> None:
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
