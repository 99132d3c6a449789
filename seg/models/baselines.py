"""Baseline networks of segmentation-models-pytorch, for comparison."""

import segmentation_models_pytorch as smp
from torch import nn

from seg.errors import ConfigError
from seg.models.backbone import BUILD_ERRORS, check_encoder
from seg.models.config import ModelConfig

STRIDE = 32
DEEPLAB_STRIDES = (8, 16)
SHIFT_EQUIVARIANT = {"unet"}
"""Architectures whose logits do not depend on the window. The others resize features with aligned corners, pool over
the whole window, or normalise by its statistics."""


def build_baseline(config: ModelConfig, bands: int) -> tuple[nn.Module, int]:
    """Build a network with random weights; also return the stride that the sides of its images must be multiples of.

    Raises:
        ConfigError: The network cannot be built with this encoder or output stride.
    """
    check_encoder(config.encoder)
    deeplab = config.architecture == "deeplabv3plus"
    if deeplab and config.output_stride not in DEEPLAB_STRIDES:
        raise ConfigError(
            f"model.model.output_stride is {config.output_stride}; possible with architecture deeplabv3plus are "
            f"{', '.join(map(str, DEEPLAB_STRIDES))}"
        )
    further = {"encoder_output_stride": config.output_stride} if deeplab else {}
    try:
        network: nn.Module = smp.create_model(
            config.architecture,
            encoder_name=config.encoder,
            encoder_weights=None,
            in_channels=bands,
            classes=config.heads,
            **further,
        )
    except BUILD_ERRORS as error:
        raise ConfigError(
            f"model.model.architecture is {config.architecture}, which cannot be built with encoder '{config.encoder}'"
            f"{f' at output_stride {config.output_stride}' if deeplab else ''} ({str(error) or 'unsupported'}); "
            "resnet18 can"
        ) from error
    drop_norms_after_pooling(network)
    return network, config.output_stride if deeplab else STRIDE


def drop_norms_after_pooling(network: nn.Module) -> None:
    """Replace BatchNorm after a pool to a single pixel by identity, since it cannot train on one image a batch."""
    for block in network.modules():
        first = next(block.children(), None)
        if not isinstance(first, nn.AdaptiveAvgPool2d) or first.output_size not in (1, (1, 1)):
            continue
        for layer in list(block.modules()):
            for name, child in layer.named_children():
                if isinstance(child, nn.BatchNorm2d):
                    setattr(layer, name, nn.Identity())
