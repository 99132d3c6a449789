"""Shared memory in which worker processes hand over batches, used again and again.

PyTorch makes new shared memory for each tensor that it passes between processes. Opening it and touching its pages for
the first time takes longer than reading a chip from a file.
"""

import math
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seg.data.sample import Example
from seg.raster.chips import FloatImage

MOST_BYTES = 2**28
"""Of all slots of a loader: their memory is taken at once. Batches that do not fit are passed PyTorch's way."""

_ALIGNMENT = 64
"""Tensors begin at multiples of this many bytes, which suits every data type and vector instruction."""

Bytes = npt.NDArray[np.uint8]
Collate = Callable[[Sequence[Example]], dict[str, Any]]
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

    def within(self, memory: Bytes) -> npt.NDArray[Any]:
        """The tensor in the bytes of a slot."""
        return memory[self.start : self.end].view(self.dtype).reshape(self.shape)


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

    @contextmanager
    def filling(self, worker: int, alone: bool) -> Iterator["Filling | None"]:
        """A free slot of a worker to be filled, taken until then; None if there is none. For that worker to call.

        Args:
            worker: Its number.
            alone: The batch will be of one sample, whose image may be read into the slot straight away.
        """
        global _filling
        taken = self._taken.numpy()
        own = range(worker * self.each, (worker + 1) * self.each)
        slot = next((slot for slot in own if not taken[slot]), None)
        filling = None if slot is None else Filling(self, slot)
        if slot is not None:
            taken[slot] = 1
        try:
            _filling = filling if alone else None
            yield filling
        finally:
            _filling = None
            if slot is not None and filling is not None and not filling.sent:
                taken[slot] = 0

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return int(self._taken.count_nonzero())

    def memory(self, slot: int) -> Bytes:
        """The bytes of a slot."""
        memory: Bytes = self._memory[slot].numpy()
        return memory

    def tensors(self, slot: int, places: dict[str, Place]) -> dict[str, Tensor]:
        """The tensors of a slot, which is free when the last of them and of their views is gone."""
        memory = self.memory(slot)
        weakref.finalize(memory, self._taken.numpy().__setitem__, slot, 0).atexit = False
        return {name: torch.from_numpy(place.within(memory)) for name, place in places.items()}


_here: weakref.WeakValueDictionary[str, Slots] = weakref.WeakValueDictionary()
"""The slots of this process's loaders, by key."""


class Filling:
    """A slot that a worker fills.

    Args:
        slots: It is one of these.
        slot: Which.

    Attributes:
        sent: Whether a batch was put into it, on its way now.
    """

    def __init__(self, slots: Slots, slot: int) -> None:
        self.slots, self.slot, self.sent = slots, slot, False
        self.memory = slots.memory(slot)
        self._lent = False

    def lend(self, shape: tuple[int, ...]) -> FloatImage | None:
        """The beginning of the slot for a float32 image; None if it is lent already, or too small."""
        place = Place(0, "<f4", shape)
        if self._lent or place.end > self.slots.size:
            return None
        self._lent = True
        return place.within(self.memory)

    def put(self, batch: dict[str, Any]) -> "Handover | dict[str, Any]":
        """The way of a batch to the training process: through the slot, or its own where the slot is too small."""
        tensors = {name: value.numpy() for name, value in batch.items() if isinstance(value, Tensor)}
        beginning = _address(self.memory)
        # What was read into the slot lies at its beginning, and stays there.
        tensors = dict(sorted(tensors.items(), key=lambda item: _address(item[1]) != beginning))
        places: dict[str, Place] = {}
        end = 0
        for name, values in tensors.items():
            places[name] = Place(-(-end // _ALIGNMENT) * _ALIGNMENT, values.dtype.str, values.shape)
            end = places[name].end
        if end > self.slots.size:
            return {name: value.clone() if name in tensors else value for name, value in batch.items()}
        for name, values in tensors.items():
            if _address(values) != beginning:
                places[name].within(self.memory)[...] = values
        self.sent = True
        return Handover(self.slots, self.slot, places, {name: batch[name] for name in batch.keys() - tensors.keys()})


_filling: Filling | None = None
"""The slot of the sample that this process is loading."""


def image_memory(shape: tuple[int, ...]) -> FloatImage:
    """Memory for the float32 image of a sample: in the slot of its batch if that is free, so that nobody copies it."""
    lent = _filling.lend(shape) if _filling else None
    return np.empty(shape, np.float32) if lent is None else lent


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


def _shared(*shape: int) -> Tensor:
    """Zeros in memory that worker processes share with this one."""
    zeros: Tensor = torch.zeros(shape, dtype=torch.uint8).share_memory_()  # type: ignore[no-untyped-call]
    return zeros


def _address(values: npt.NDArray[Any]) -> int:
    """Where an array begins, if it has no gaps."""
    return int(values.__array_interface__["data"][0]) if values.flags.c_contiguous else -1


def _received(key: str, slot: int, places: dict[str, Place], rest: dict[str, Any]) -> dict[str, Any]:
    return {**_here[key].tensors(slot, places), **rest}
