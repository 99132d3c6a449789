"""Initial weights of an encoder from a local file, or from the hub of smp and timm."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.backbone import TIMM
from seg.models.config import ModelConfig
from seg.models.dilated import VARIANTS

SUFFIXES = {".safetensors", ".pth", ".pt", ".ckpt", ".bin"}
RGB = 3
ARGUMENT = "model.model.encoder_weights"
COUNTER = ".num_batches_tracked"
"""Suffix of BatchNorm's step counter. This project does not use the counter, and older files lack it."""

State = Mapping[str, Tensor]


def load_encoder_weights(encoder: nn.Module, config: ModelConfig, bands: int) -> None:
    """Load initial weights into an encoder; if `encoder_weights` is null, the encoder keeps its random weights.

    If the first convolution in the file has three bands, the weights of this convolution are repeated for the bands of
    the images and scaled so that their sum stays the same, as in timm.

    Args:
        encoder: The encoder.
        config: Configuration with the encoder's name and weights.
        bands: Channels of the images.

    Raises:
        ConfigError: The weights cannot be loaded or do not fit the encoder.
    """
    source = config.encoder_weights
    if source is None:
        return
    if Path(source).suffix in SUFFIXES:
        encoder.load_state_dict(_fitting(_read(Path(source)), encoder, config, bands))
    else:
        encoder.load_state_dict(_from_hub(config, bands))


def _read(path: Path) -> State:
    """Read the tensors of a file without unpickling other objects."""
    if not path.is_file():
        raise ConfigError(f"{ARGUMENT} is '{path}', which does not exist; wanted {' or '.join(sorted(SUFFIXES))}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # The error below explains more than PyTorch's warnings do.
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # A damaged pickle can raise almost any exception.
        raise ConfigError(
            f"{ARGUMENT} is '{path}', which is damaged or holds more than tensors ({type(error).__name__}); wanted a "
            "safetensors file, or a PyTorch file with only a state dict"
        ) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    items = content.items() if isinstance(content, dict) else ()
    state = {name: tensor for name, tensor in items if isinstance(name, str) and isinstance(tensor, Tensor)}
    if not state:
        raise ConfigError(f"{ARGUMENT} is '{path}', which holds no tensors; wanted a state dict")
    return state


def _fitting(state: State, encoder: nn.Module, config: ModelConfig, bands: int) -> State:
    """Select the encoder's weights from a file. The file may hold a whole network, and names may have a prefix."""
    wanted = encoder.state_dict()
    prefix = _common_prefix(state, wanted)
    missing = [name for name in wanted if prefix + name not in state and not name.endswith(COUNTER)]
    if missing and config.encoder.startswith(TIMM):
        return _timm_state(state, config, bands)
    if missing:
        raise _lacking(missing, wanted, config)
    fitted = {name: _adapted(state.get(prefix + name, tensor), tensor.shape) for name, tensor in wanted.items()}
    for name, tensor in wanted.items():
        if fitted[name].shape != tensor.shape:
            raise ConfigError(
                f"{ARGUMENT} is '{config.encoder_weights}', where {name} has shape {list(fitted[name].shape)}; "
                f"encoder {config.encoder} with {bands} bands needs {list(tensor.shape)}"
            )
    return fitted


def _common_prefix(state: State, wanted: State) -> str:
    """Prefix with which the names in a file match the most expected tensors."""
    first = next(iter(wanted))
    prefixes = {name.removesuffix(first) for name in state if name.endswith(first)}
    return max(prefixes, key=lambda prefix: sum(prefix + name in state for name in wanted), default="")


def _adapted(weight: Tensor, shape: torch.Size) -> Tensor:
    """Adapt the weights of a first convolution to another number of bands; return other weights unchanged."""
    if weight.ndim == 4 == len(shape) and weight.shape[1] == RGB != shape[1] and weight.shape[0] == shape[0]:
        adapted: Tensor = adapt_input_conv(shape[1], weight)
        return adapted
    return weight


def _lacking(missing: Sequence[str], wanted: State, config: ModelConfig) -> ConfigError:
    return ConfigError(
        f"{ARGUMENT} is '{config.encoder_weights}', which lacks {missing[0]} ({len(missing)} of {len(wanted)} tensors "
        f"are missing); wanted the weights of encoder {config.encoder}"
    )


def _timm_state(state: State, config: ModelConfig, bands: int) -> State:
    """Load the weights of a timm network with timm, because timm renames weights for feature networks."""
    # timm ignores missing weights, which then stay random. Two loads show which weights are missing, since random
    # weights differ.
    first, second = (_load_with_timm(state, config, bands) for _ in range(2))
    missing = [name for name in first if not torch.equal(first[name], second[name])]
    if missing:
        raise _lacking(missing, first, config)
    return first


def _load_with_timm(state: State, config: ModelConfig, bands: int) -> State:
    try:
        donor = smp.encoders.get_encoder(
            config.encoder, in_channels=bands, weights=True, pretrained_cfg_overlay={"state_dict": dict(state)}
        )
    except (RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"{ARGUMENT} is '{config.encoder_weights}', which does not fit encoder {config.encoder} ({reason})"
        ) from error
    weights: State = donor.state_dict()
    return weights


def _from_hub(config: ModelConfig, bands: int) -> State:
    name = config.encoder_weights
    files = _hub_files(config.encoder)
    if name not in files:
        possible = f"use {', '.join(files)} or a file" if files else "use a file"
        raise ConfigError(
            f"{ARGUMENT} is '{name}', but encoder {config.encoder} has no weights with this name; {possible}"
        )
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # The hub's library logs every attempt; the error below reports the result.
    try:
        weights = True if config.encoder.startswith(TIMM) else name
        donor = smp.encoders.get_encoder(config.encoder, in_channels=bands, weights=weights)
    except Exception as error:  # Without a connection, each library raises an exception of its own class.
        raise ConfigError(
            f"{ARGUMENT} is '{name}', which could not be fetched ({type(error).__name__}); download {files[name]} on a "
            "machine with network access and give the file instead"
        ) from error
    finally:
        logger.setLevel(level)
    state: State = donor.state_dict()
    return state


def _hub_files(encoder: str) -> dict[str, str]:
    """Names of an encoder's weights on the hub, with the addresses of their files."""
    if encoder in VARIANTS:
        return {}
    if encoder.startswith(TIMM):
        config = timm.models.get_pretrained_cfg(encoder.removeprefix(TIMM))
        if config is None or not config.has_weights:
            return {}
        address = config.url or f"https://huggingface.co/{config.hf_hub_id}/resolve/main/model.safetensors"
        return {"imagenet": str(address)}
    settings = smp.encoders.encoders[encoder]["pretrained_settings"]
    return {
        name: f"https://huggingface.co/{entry['repo_id']}/resolve/{entry['revision']}/model.safetensors"
        for name, entry in settings.items()
    }
