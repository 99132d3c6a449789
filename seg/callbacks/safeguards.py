"""The callbacks that every training has, so that it gives what it should, and ends well."""

import lightning as L

from seg.callbacks.merge_batch_norm import MergeBatchNorm
from seg.callbacks.seed_batches import SeedBatches
from seg.callbacks.stop_at_nan import StopAtNan
from seg.callbacks.stop_at_signal import StopAtSignal


def safeguards(seed: int) -> list[L.Callback]:
    """New ones for a run.

    Args:
        seed: Its seed.
    """
    return [SeedBatches(seed), StopAtNan(), MergeBatchNorm(), StopAtSignal()]
