"""The loss of training: a weighted mixture."""

import torch
from torch import Tensor, nn

from seg.losses.config import TERMS, LossConfig, check_loss
from seg.losses.edges import boundary_mask
from seg.losses.terms import loss_terms


class CroplandLoss(nn.Module):
    """A weighted sum of losses, each over the pixels whose label is not ignore.

    Args:
        config: The weights, and what the losses need.

    Attributes:
        weights: Weight of each loss by its name. May be changed between two batches; a loss whose weight is 0 is not
            computed.
        terms: The losses of the last batch by name, without weights and without gradients; `boundary` is the mixture
            over the edges.

    Raises:
        ConfigError: A weight or a parameter is out of range, or all weights are 0.
    """

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        check_loss(config)
        self.config = config
        self.weights: dict[str, float] = {name: getattr(config, name) for name in TERMS}
        self.terms: dict[str, Tensor] = {}
        self._losses = loss_terms(config)

    def forward(self, logits: Tensor, mask: Tensor, boundary: Tensor | None = None) -> Tensor:
        """The loss of a batch in float32, 0 with gradients of 0 where every label is ignore.

        Args:
            logits: (B, 1, H, W) of cropland, any float type.
            mask: (B, H, W) uint8 labels.
            boundary: (B, 1, H, W) logits of the edges of parcels, where the network has them.
        """
        with torch.autocast(logits.device.type, enabled=False):
            loss, self.terms = self._mixture(logits.float(), mask)
            if boundary is not None:
                edges, _ = self._mixture(boundary.float(), boundary_mask(mask, self.config.boundary_width))
                self.terms["boundary"] = edges.detach()
                loss = loss + self.config.boundary * edges
        return loss

    def _mixture(self, logits: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and the losses that it is made of."""
        labels = mask[:, None].long()
        terms = {name: self._losses[name](logits, labels) for name, weight in self.weights.items() if weight}
        if not terms:  # a schedule may have every weight at 0 for a while
            return 0.0 * logits.sum(), {}
        loss = torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()
        return loss, {name: value.detach() for name, value in terms.items()}
