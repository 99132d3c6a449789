"""The stages of a network's backbone, in their order."""

import torch
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.backbone import DilatedBackbone
from seg.models.segmenter import Segmenter

_SIDE = 64
"""Large enough for encoders with a stride of 32: two cells a side."""


def backbone_stages(model: Segmenter) -> list[list[nn.Module]]:
    """The layers of each stage of the backbone, from the shallowest to the deepest; the decoder has no part in it.

    A stage is what one level of features needs beyond the level before: found by following the gradient, since the
    encoders of smp and timm name and order their parts in as many ways as there are families. What no level needs
    counts as part of the deepest stage.

    Args:
        model: On any device; its state and mode stay as they are.

    Returns:
        For each stage its layers that own parameters themselves: convolutions, norms.

    Raises:
        ConfigError: The network has no backbone that can be told apart.
    """
    encoder = _encoder(model.network)
    levels = [level for level in _features(model, encoder) if level.requires_grad]
    if not levels:
        raise ConfigError("every parameter of the backbone is frozen, so that its stages cannot be told apart")
    weights = [weight for weight in encoder.parameters() if weight.requires_grad]
    stage_of: dict[nn.Parameter, int] = {}
    for number, level in enumerate(levels):
        gradients = torch.autograd.grad(level.sum(), weights, retain_graph=True, allow_unused=True)
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                stage_of.setdefault(weight, number)
    stages: list[list[nn.Module]] = [[] for _ in levels]
    for layer in encoder.modules():
        own = list(layer.parameters(recurse=False))
        if own:
            stages[min(stage_of.get(weight, len(levels) - 1) for weight in own)].append(layer)
    return [stage for stage in stages if stage]


def _encoder(network: nn.Module) -> nn.Module:
    """The part of a network that shrinks the image; one attribute of it holds that, whoever built it."""
    backbone = getattr(network, "backbone", None) or getattr(network, "encoder", None)
    if not isinstance(backbone, nn.Module):
        raise ConfigError(f"a network of class {type(network).__name__} has no backbone with stages to freeze")
    return backbone.encoder if isinstance(backbone, DilatedBackbone) else backbone


def _features(model: Segmenter, encoder: nn.Module) -> list[Tensor]:
    """The features of each level for an empty image, from shallow to deep, with their graph."""
    mean = model.normalization.mean
    image = torch.zeros(1, mean.numel(), max(_SIDE, 2 * model.stride), max(_SIDE, 2 * model.stride), device=mean.device)
    modes = {module: module.training for module in encoder.modules()}
    try:
        encoder.eval()  # a running mean takes no part of this, and no random number is drawn
        with torch.enable_grad():
            features = encoder(image)
    finally:
        for module, mode in modes.items():
            module.training = mode
    if isinstance(features, tuple):  # this project's own: the deepest, and the finer ones from coarse to fine
        deepest, finer = features
        return [*finer[::-1], deepest]
    return list(features)
