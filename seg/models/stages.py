"""Stages of a network's backbone, from shallow to deep."""

import torch
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.backbone import DilatedBackbone
from seg.models.segmenter import Segmenter

_SIDE = 64
"""Side in pixels of the image that is used to find stages: two cells of an encoder with stride 32."""


def backbone_stages(model: Segmenter) -> list[list[nn.Module]]:
    """Layers of each stage of the backbone, from the shallowest to the deepest; the decoder is not included.

    A stage consists of the layers that a feature level uses but the previous level does not. Gradients show which
    layers a level uses, since names and order differ between the encoder families of smp and timm. Layers that no
    feature level uses belong to the deepest stage.

    Args:
        model: A network on any device; its state and mode do not change.

    Returns:
        For each stage, its layers that have parameters of their own, such as convolutions and norms.

    Raises:
        ConfigError: The network has no separate backbone, or all parameters of the backbone are frozen.
    """
    encoder = _encoder(model.network)
    levels = [level for level in _features(model, encoder) if level.requires_grad]
    if not levels:
        raise ConfigError("all parameters of the backbone are frozen, so its stages cannot be found")
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
    """Backbone of a network of any architecture."""
    backbone = getattr(network, "backbone", None) or getattr(network, "encoder", None)
    if not isinstance(backbone, nn.Module):
        raise ConfigError(f"a network of class {type(network).__name__} has no backbone with stages to freeze")
    return backbone.encoder if isinstance(backbone, DilatedBackbone) else backbone


def _features(model: Segmenter, encoder: nn.Module) -> list[Tensor]:
    """Features of each level for a blank image, from shallow to deep, with their autograd graph."""
    mean = model.normalization.mean
    image = torch.zeros(1, mean.numel(), max(_SIDE, 2 * model.stride), max(_SIDE, 2 * model.stride), device=mean.device)
    modes = {module: module.training for module in encoder.modules()}
    try:
        encoder.eval()  # This keeps running statistics and the random state unchanged.
        with torch.enable_grad():
            features = encoder(image)
    finally:
        for module, mode in modes.items():
            module.training = mode
    if isinstance(features, tuple):  # Backbones of this project return the deepest features first.
        deepest, finer = features
        return [*finer[::-1], deepest]
    return list(features)
