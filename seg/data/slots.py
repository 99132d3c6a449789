"""Shared memory in which worker processes hand over batches, used again and again.

PyTorch makes new shared memory for each tensor that it passes between processes. Opening it and touching its pages for
the first time takes longer than reading a chip from a file.
"""

import math
import uuid
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from seg.data.datasets import Example

MOST_BYTES = 2**28
"""Of all slots of a loader: their memory is taken at once. Batches that do not fit are passed PyTorch's way."""

_ALIGNMENT = 64
"""Tensors begin at multiples of this many bytes, which suits every data type and vector instruction."""

Collate = Callable[[Sequence[Example]], "dict[str, Any] | Handover"]
"""Joins the examples of a batch."""


class Place(NamedTuple):
    """Where a tensor lies in a slot.

    Attributes:
        start: First byte.
        dtype: NumPy's name of its data type.
        shape: Its shape.
    """

    start: int
    dtype: str
    shape: tuple[int, ...]

    @property
    def end(self) -> int:
        """The byte after its last."""
        return self.start + math.prod(self.shape) * np.dtype(self.dtype).itemsize


class Slots:
    """A few slots of shared memory for each worker process.

    A worker fills a free slot; the slot is free again when the training process holds none of its tensors any more.
    Where no slot is free, the batch goes the usual way, so nobody ever waits for one.

    Args:
        workers: Worker processes.
        each: Slots of a worker.
        size: Bytes of a slot.
    """

    def __init__(self, workers: int, each: int, size: int) -> None:
        self.key = uuid.uuid4().hex
        self.each, self.size = each, size
        self._memory, self._taken = _shared(workers * each, size), _shared(workers * each)
        _here[self.key] = self

    def take(self, worker: int) -> int | None:
        """A free slot of a worker, from now on taken; None if there is none. For that worker to call."""
        taken = self._taken.numpy()
        for slot in range(worker * self.each, (worker + 1) * self.each):
            if not taken[slot]:
                taken[slot] = 1
                return slot
        return None

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return int(self._taken.count_nonzero())

    def array(self, slot: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        """The bytes of a slot."""
        array: np.ndarray[tuple[int], np.dtype[np.uint8]] = self._memory[slot].numpy()
        return array

    def tensors(self, slot: int, places: dict[str, Place]) -> dict[str, Tensor]:
        """The tensors of a slot, which is free when the last of them and of their views is gone."""
        array = self.array(slot)
        weakref.finalize(array, self._taken.numpy().__setitem__, slot, 0).atexit = False
        return {name: torch.from_numpy(_at(array, place)) for name, place in places.items()}


_here: weakref.WeakValueDictionary[str, Slots] = weakref.WeakValueDictionary()
"""The slots of this process's loaders, by key."""


class Handover:
    """A batch in a slot, on its way from a worker; the process that receives it gets the batch itself.

    Args:
        slots: Its slot is one of these.
        slot: Which.
        places: Its tensors.
        rest: Its other entries.
    """

    def __init__(self, slots: Slots, slot: int, places: dict[str, Place], rest: dict[str, Any]) -> None:
        self.key, self.slot, self.places, self.rest = slots.key, slot, places, rest

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self.key, self.slot, self.places, self.rest)


class SlotCollate:
    """Collates in a worker process, and puts the batch into a slot where it can.

    Args:
        collate: Makes a batch, a dictionary, of examples.
        slots: The loader's.
    """

    def __init__(self, collate: Collate, slots: Slots) -> None:
        self.collate, self.slots = collate, slots

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any] | Handover:
        """The batch, or the way to it."""
        batch = self.collate(examples)
        if isinstance(batch, Handover):
            return batch
        tensors = {name: value.numpy() for name, value in batch.items() if isinstance(value, Tensor)}
        places: dict[str, Place] = {}
        end = 0
        for name, values in tensors.items():
            places[name] = Place(-(-end // _ALIGNMENT) * _ALIGNMENT, values.dtype.str, values.shape)
            end = places[name].end
        worker = get_worker_info()
        slot = self.slots.take(worker.id) if worker and end <= self.slots.size else None
        if slot is None:
            return batch
        array = self.slots.array(slot)
        for name, values in tensors.items():
            _at(array, places[name])[...] = values
        return Handover(self.slots, slot, places, {name: batch[name] for name in batch.keys() - tensors.keys()})


def _shared(*shape: int) -> Tensor:
    """Zeros in memory that worker processes share with this one."""
    zeros: Tensor = torch.zeros(shape, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
    return zeros


def _at(array: np.ndarray[Any, Any], place: Place) -> np.ndarray[Any, Any]:
    return array[place.start : place.end].view(place.dtype).reshape(place.shape)


def _received(key: str, slot: int, places: dict[str, Place], rest: dict[str, Any]) -> dict[str, Any]:
    return {**_here[key].tensors(slot, places), **rest}
