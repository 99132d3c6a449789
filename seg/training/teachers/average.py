"""Teacher that is the moving average of its student."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seg.models.segmenter import Segmenter


class AverageTeacher:
    """Moving average of a network's weights, in evaluation mode.

    Parameters and float buffers are averaged. If the running statistics of BatchNorm were not averaged, they would not
    fit the averaged weights. Other buffers, such as counters, are copied. After n averaged steps, the share of the old
    average is at most 1 - 1 / (n + 1). The first steps therefore have equal weights, and the random initial weights
    have none. See the mean teacher of Tarvainen and Valpola (2017), https://arxiv.org/abs/1703.01780.

    Args:
        model: The student; the average starts with a copy of its weights.
        decay: Share of the old average in the new average after an optimiser step, 0 to below 1.

    Attributes:
        network: The averaged network.
        updates: Number of steps that have been averaged.
    """

    def __init__(self, model: Segmenter, decay: float) -> None:
        self.network: Segmenter = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: Segmenter) -> None:
        """Add the student's weights after an optimiser step to the average."""
        kept = min(self.decay, 1 - 1 / (self.updates + 1))
        self.updates += 1
        weights = model.state_dict()
        for name, mean in self.network.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(weights[name], 1 - kept)
            else:
                mean.copy_(weights[name])

    def to(self, device: torch.device) -> None:
        """Move the network to a device."""
        self.network.to(device)

    def load(self, weights: Mapping[str, Any], updates: int) -> None:
        """Restore the state from a checkpoint.

        Args:
            weights: Parameters and buffers of the network by name.
            updates: Number of steps that have been averaged.
        """
        self.network.load_state_dict(dict(weights))
        self.updates = updates

    @torch.no_grad()
    def logits(self, image: Tensor) -> Tensor:
        """Logits (N, H, W) of images (N, C, H, W)."""
        logits: Tensor = self.network(image)
        return logits[:, 0].float()
