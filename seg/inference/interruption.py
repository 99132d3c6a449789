"""Messages of a run that is interrupted or runs out of memory: finished blocks, and instructions to continue."""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from seg.errors import RasterError
from seg.inference.planning.plan import Plan
from seg.raster.writing.block_store import BlockStore
from seg.terminal.text import counted

OUT_OF_MEMORY = re.compile(
    r"out.?of.?memory|bad.alloc|(can't|cannot|failed to|unable to) allocate|start new thread", re.IGNORECASE
)
"""Messages of NumPy, GDAL, ONNX Runtime, PyTorch and Python about exhausted memory, often without a `MemoryError`."""


@contextmanager
def explain_interruption(plan: Plan, store: BlockStore) -> Iterator[None]:
    """Add the number of finished blocks and advice to the error if the run is interrupted or memory runs out.

    Args:
        plan: Blocks of the scene.
        store: Holds the finished blocks.

    Raises:
        RasterError: Memory ran out.
        KeyboardInterrupt: The run was interrupted; raised again with a message.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(f"interrupted; {_kept(store)}repeat the command to continue") from interrupt
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        again = " --restart=true" if store.finished else ""
        smaller = max(min(plan.block_size.height, plan.block_size.width) // 2, 1)
        raise RasterError(
            f"{plan.grid.path}: memory ran out at blocks of {plan.block_size.text(plan.halo)}; "
            f"{_kept(store)}free memory and repeat the command, or use smaller blocks with "
            f"--block-size={smaller}{again} or with a lower --memory{again}"
        ) from error


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Turn SIGTERM, which clusters send to end jobs, into KeyboardInterrupt; has no effect outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _kept(store: BlockStore) -> str:
    return f"{counted(store.finished, 'finished block')} kept in {store.folder}: " if store.finished else ""


def is_out_of_memory(error: BaseException | None) -> bool:
    """True if an error, or one of its causes, reports exhausted memory."""
    while error is not None:
        if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(f"{type(error).__name__} {error}"):
            return True
        error = error.__cause__
    return False
