"""Networks from configurations: the dilated network, and baselines of segmentation-models-pytorch."""

import copy

import segmentation_models_pytorch as smp
import torch
from torch import nn

from seg.errors import ConfigError
from seg.models.backbone import BUILD_ERRORS, TIMM, DilatedBackbone, check_encoder
from seg.models.config import MOST, ModelConfig
from seg.models.decoder import TransposedDecoder
from seg.models.dilated import VARIANTS, DilatedResNet
from seg.models.pretrained import load_encoder_weights
from seg.models.pyramid import AtrousPyramid
from seg.models.segmenter import BandNormalization, DilatedNetwork, Segmenter

_OF_ANY_SIZE: set[str] = set()
"""Configurations that passed `_require_any_size`. That check takes longer than building a small network."""


def build_model(config: ModelConfig, bands: int) -> Segmenter:
    """Build the network of a configuration; weights are random, except those of an encoder with `encoder_weights`.

    Args:
        config: Architecture and widths.
        bands: Channels of the input image, 1 to `MOST`.

    Raises:
        ConfigError: An argument is impossible; the message names the argument and its possible values.
    """
    if not 1 <= bands <= MOST:
        raise ConfigError(f"bands is {bands}; wanted 1 to {MOST}")
    model = _build(config, bands)
    if config.encoder.startswith(TIMM) and str(config) not in _OF_ANY_SIZE:
        _require_any_size(model, config, bands)
        _OF_ANY_SIZE.add(str(config))
    return model


def _build(config: ModelConfig, bands: int) -> Segmenter:
    if config.architecture != "dilated":
        network, stride = build_baseline(config, bands)
        load_encoder_weights(network.get_submodule("encoder"), config, bands)
        window_dependent = config.architecture not in SHIFT_EQUIVARIANT
        return Segmenter(BandNormalization(bands), network, stride, window_dependent)
    check_encoder(config.encoder, own=True)
    backbone = _build_backbone(config, bands)
    load_encoder_weights(backbone.encoder if isinstance(backbone, DilatedBackbone) else backbone, config, bands)
    return Segmenter(BandNormalization(bands), _dilated_network(config, backbone, bands), backbone.output_stride)


@torch.no_grad()
def _require_any_size(model: Segmenter, config: ModelConfig, bands: int) -> None:
    """Check a network with images of two sizes, since some timm networks accept only one size."""
    shadow = copy.deepcopy(model).to("meta").eval()
    try:
        for steps in (2, 3):
            shadow(torch.zeros(1, bands, steps * model.stride, 5 * model.stride, device="meta"))
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:150]
        raise ConfigError(
            f"model.model.encoder is '{config.encoder}', which does not accept images of any size ({reason}); "
            "use dilated_small, resnet18 or resnet50"
        ) from error


def _dilated_network(config: ModelConfig, backbone: DilatedResNet | DilatedBackbone, bands: int) -> nn.Module:
    skips, widths = backbone.skip_channels, config.decoder_channels
    if len(widths) != len(skips) + 1:
        raise ConfigError(
            f"model.model.decoder_channels has {len(widths)} widths ({list(widths)}), but an output_stride of "
            f"{config.output_stride} needs {len(skips) + 1}, one for each halving of the resolution"
        )
    pyramid = AtrousPyramid(
        backbone.channels[-1],
        config.pyramid_channels,
        config.pyramid_rates,
        dropout=config.dropout,
        bottleneck=config.pyramid_bottleneck,
        context=config.context,
        context_window=config.context_window,
        style=config.style,
    )
    decoder = TransposedDecoder(config.pyramid_channels, [*skips, bands], widths, config.style)
    return DilatedNetwork(backbone, pyramid, decoder, nn.Conv2d(widths[-1], config.heads, kernel_size=1))


def _build_backbone(config: ModelConfig, bands: int) -> DilatedResNet | DilatedBackbone:
    if config.encoder in VARIANTS:
        return DilatedResNet(VARIANTS[config.encoder], bands, config.output_stride, config.norm)
    return DilatedBackbone(config.encoder, bands, config.output_stride)


STRIDE = 32
DEEPLAB_STRIDES = (8, 16)
SHIFT_EQUIVARIANT = {"unet"}
"""Baselines whose logits do not depend on the window that is computed. All other baselines resize features with aligned
corners, pool over the whole window, or normalise by statistics of the window."""


def build_baseline(config: ModelConfig, bands: int) -> tuple[nn.Module, int]:
    """Build a network with random weights; return it and its stride. Image sides must be multiples of the stride.

    Raises:
        ConfigError: The network cannot be built with this encoder or output stride.
    """
    check_encoder(config.encoder)
    deeplab = config.architecture == "deeplabv3plus"
    if deeplab and config.output_stride not in DEEPLAB_STRIDES:
        raise ConfigError(
            f"model.model.output_stride is {config.output_stride}, which deeplabv3plus does not support; use one of "
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
            "use encoder resnet18"
        ) from error
    drop_norms_after_pooling(network)
    return network, config.output_stride if deeplab else STRIDE


def drop_norms_after_pooling(network: nn.Module) -> None:
    """Replace BatchNorm after global pooling by the identity, since such a norm cannot train on single images."""
    for block in network.modules():
        first = next(block.children(), None)
        if not isinstance(first, nn.AdaptiveAvgPool2d) or first.output_size not in (1, (1, 1)):
            continue
        for layer in list(block.modules()):
            for name, child in layer.named_children():
                if isinstance(child, nn.BatchNorm2d):
                    setattr(layer, name, nn.Identity())
