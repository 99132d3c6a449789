"""Callbacks that a configuration sets by keys of their own, beside trainer.callbacks."""

import lightning as L

from seg.callbacks.freeze_batch_norm import FreezeBatchNorm
from seg.callbacks.warmup_batch import WarmupBatch
from seg.callbacks.warmup_data import WarmupData
from seg.callbacks.warmup_layers import WarmupLayers
from seg.callbacks.warmup_learning_rate import WarmupLearningRate
from seg.callbacks.warmup_loss import WarmupLoss

CALLBACK_KEYS: dict[str, type[L.Callback]] = {
    "warmup": WarmupLearningRate,
    "warmup_batch": WarmupBatch,
    "warmup_layers": WarmupLayers,
    "warmup_data": WarmupData,
    "warmup_loss": WarmupLoss,
    # After the layers: a stage that is released trains its norms, unless this says otherwise.
    "batch_norm": FreezeBatchNorm,
}
"""In the order in which they are called. By default all but the learning rate's do nothing."""
