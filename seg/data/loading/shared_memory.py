"""Reusable shared memory for passing batches from worker processes.

PyTorch allocates new shared memory for each tensor that it passes between processes. Mapping this memory and accessing
its pages for the first time takes longer than reading a chip from a file.
"""

import math
import uuid
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seg.data.sample import Example

MOST_BYTES = 2**28
"""Largest total size of a loader's slots. All slots are allocated at the start. If slots would exceed this size,
PyTorch passes the batches instead."""

_ALIGNMENT = 64
"""Each tensor starts at a multiple of this number of bytes, which suits every data type and vector instruction."""

Bytes = npt.NDArray[np.uint8]
Collate = Callable[[Sequence[Example]], dict[str, Any]]
"""Function that makes a batch from examples."""


class Place(NamedTuple):
    """Position of a tensor in a slot.

    Attributes:
        start: First byte.
        dtype: NumPy name of the data type.
        shape: Shape of the tensor.
    """

    start: int
    dtype: str
    shape: tuple[int, ...]

    @property
    def end(self) -> int:
        """First byte after the tensor."""
        return self.start + math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def within(self, memory: Bytes) -> npt.NDArray[Any]:
        """View of the tensor in the bytes of a slot."""
        return memory[self.start : self.end].view(self.dtype).reshape(self.shape)


class Slots:
    """A few slots of shared memory for each worker process.

    A worker copies a batch into a free slot. The slot becomes free again when the training process has released all
    tensors of the batch. If no slot is free, PyTorch passes the batch in its own way, so that no process waits.

    Args:
        workers: Number of worker processes.
        each: Number of slots per worker.
        size: Size of a slot in bytes.
    """

    def __init__(self, workers: int, each: int, size: int) -> None:
        self.key = uuid.uuid4().hex
        self.each, self.size = each, size
        self._memory, self._taken = _shared(workers * each, size), _shared(workers * each)
        _slots_of_this_process[self.key] = self

    @property
    def taken(self) -> int:
        """Number of slots in use."""
        return int(self._taken.count_nonzero())

    def put(self, worker: int, batch: dict[str, Any]) -> "Handover | dict[str, Any]":
        """Copy a batch into a free slot; called in the worker process.

        Args:
            worker: Number of the worker.
            batch: Tensors and other values by name.

        Returns:
            A message that becomes the batch in the training process; or the batch itself if no free slot is large
            enough.
        """
        tensors = {name: value.numpy() for name, value in batch.items() if isinstance(value, Tensor)}
        places: dict[str, Place] = {}
        end = 0
        for name, values in tensors.items():
            places[name] = Place(-(-end // _ALIGNMENT) * _ALIGNMENT, values.dtype.str, values.shape)
            end = places[name].end
        taken = self._taken.numpy()
        own = range(worker * self.each, (worker + 1) * self.each)
        slot = next((slot for slot in own if not taken[slot]), None)
        if slot is None or end > self.size:
            return batch
        memory: Bytes = self._memory[slot].numpy()
        for name, values in tensors.items():
            places[name].within(memory)[...] = values
        taken[slot] = 1
        return Handover(self.key, slot, places, {name: batch[name] for name in batch.keys() - tensors.keys()})

    def tensors(self, slot: int, places: dict[str, Place]) -> dict[str, Tensor]:
        """Tensors of a filled slot; the slot becomes free when these tensors and their views are released."""
        memory: Bytes = self._memory[slot].numpy()
        weakref.finalize(memory, self._taken.numpy().__setitem__, slot, 0).atexit = False
        return {name: torch.from_numpy(place.within(memory)) for name, place in places.items()}


_slots_of_this_process: weakref.WeakValueDictionary[str, Slots] = weakref.WeakValueDictionary()
"""Slots by key. The training process looks up the key of a message here."""


class Handover(NamedTuple):
    """Message about a filled slot. When the training process unpickles the message, it gets the batch.

    Attributes:
        key: Key of the slots.
        slot: Number of the slot.
        places: Tensors in the slot by name.
        rest: Other values of the batch.
    """

    key: str
    slot: int
    places: dict[str, Place]
    rest: dict[str, Any]

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, tuple(self)


def _received(key: str, slot: int, places: dict[str, Place], rest: dict[str, Any]) -> dict[str, Any]:
    return {**_slots_of_this_process[key].tensors(slot, places), **rest}


def _shared(*shape: int) -> Tensor:
    """Zeros (uint8) in memory that worker processes share with this process."""
    zeros: Tensor = torch.zeros(shape, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
    return zeros
