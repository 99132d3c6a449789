"""Tiny networks, networks with varied probabilities, and sets of configurations that cover all pairs of values."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product

import torch
from torch import nn

from seg.models.config import ModelConfig
from seg.models.segmenter import Segmenter

TINY = {
    "encoder": "dilated_tiny",
    "output_stride": 2,
    "pyramid_rates": [1],
    "pyramid_channels": 8,
    "decoder_channels": [8],
}
"""Configuration of the network that is fastest to build, train and export."""
TINY_NETWORK = ModelConfig(
    encoder="dilated_tiny", output_stride=2, pyramid_rates=(1,), pyramid_channels=8, decoder_channels=(8,), dropout=0.0
)
"""The tiny network without dropout."""
STAGED_NETWORK = ModelConfig(
    encoder="tu-test_resnet",
    output_stride=8,
    pyramid_rates=(1,),
    pyramid_channels=8,
    decoder_channels=(8, 8, 8),
    dropout=0.0,
)
"""A network of timm whose backbone has five stages, without dropout."""

Row = dict[str, object]


def covering(factors: Mapping[str, Sequence[object]]) -> list[Row]:
    """Pairwise covering array: few rows in which each pair of values of any two factors occurs.

    The search is greedy and deterministic: each row is the first row that has the most pairs not covered yet.
    """
    rows = [dict(zip(factors, values, strict=True)) for values in product(*factors.values())]
    candidates = [(row, set(combinations(row.items(), 2))) for row in rows]
    missing = set().union(*(meetings for _, meetings in candidates))
    chosen = []
    while missing:
        row, meetings = max(candidates, key=lambda candidate: len(candidate[1] & missing))
        chosen.append(row)
        missing -= meetings
    return chosen


@torch.inference_mode()
def enliven(model: Segmenter, bands: int) -> Segmenter:
    """Give norms random values, make probabilities vary between pixels, and set evaluation mode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    head = [module for module in model.modules() if isinstance(module, nn.Conv2d)][-1]
    logits = model.eval()(torch.randn(1, bands, 64, 64))
    head.bias.copy_((head.bias - logits.mean()) / logits.std())
    head.weight /= logits.std()
    return model
