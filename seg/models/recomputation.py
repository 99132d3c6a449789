"""Gradient checkpointing: to save memory, blocks recompute their activations in the backward pass."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from types import MethodType

from torch import Tensor, is_grad_enabled, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from seg.errors import ConfigError
from seg.models.segmenter import Segmenter

_LISTS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def recompute_in_backward(model: Segmenter) -> None:
    """Make the blocks of a network store only their input, and recompute their activations in the backward pass.

    This is gradient checkpointing (Chen et al. 2016, https://arxiv.org/abs/1604.06174). Loss, gradients and BatchNorm
    statistics stay bit-identical, even if the network has dropout. A training step takes longer by about one forward
    pass. Weights, parameter names and evaluation do not change.

    Args:
        model: A network of any architecture.

    Raises:
        ConfigError: The network has no blocks; or, during training, a block modifies its input in place.
    """
    blocks = recomputed_blocks(model.network)
    if not blocks:
        raise ConfigError("model.gradient_checkpointing is true, but the network has no blocks to recompute")
    for block in blocks:
        # The method is stored in the instance, not in a wrapper module, so parameter names do not change. In a deep
        # copy of the network, methods are bound to the copied blocks.
        block.__dict__["forward"] = MethodType(_recomputed, block)


def recomputed_blocks(network: nn.Module) -> list[nn.Module]:
    """Outermost modules of module lists that contain several layers: residual blocks, stages, branches."""
    return [block for child in network.children() for block in _blocks(child, isinstance(network, _LISTS))]


def _blocks(module: nn.Module, listed: bool) -> Iterator[nn.Module]:
    layers = sum(1 for layer in module.modules() if next(layer.parameters(recurse=False), None) is not None)
    # A ModuleList or ModuleDict has no forward, so only its members can be recomputed.
    if listed and layers > 1 and not isinstance(module, nn.ModuleList | nn.ModuleDict):
        yield module
        return
    for child in module.children():
        yield from _blocks(child, isinstance(module, _LISTS))


def _recomputed(block: nn.Module, *inputs: object, **named: object) -> object:
    """Compute a block; if gradients are needed, its activations are not stored."""
    forward = partial(type(block).forward, block, **named)
    if not (block.training and is_grad_enabled()):
        return forward(*inputs)
    tensors = [each for each in (*inputs, *named.values()) if isinstance(each, Tensor)]
    versions = [tensor._version for tensor in tensors]
    # Lists are copied, because they may grow later, as in a dense block.
    kept = [list(each) if isinstance(each, list) else each for each in inputs]
    output = checkpoint(forward, *kept, use_reentrant=False, context_fn=partial(_contexts, block))
    if [tensor._version for tensor in tensors] != versions:
        raise ConfigError(
            f"model.gradient_checkpointing is true, but a {type(block).__name__} of this network modifies its input "
            "and cannot be recomputed; set it to false, or use encoder dilated_small, resnet18 or resnet50"
        )
    return output


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Context managers of the forward pass and of its recomputation."""
    return nullcontext(), _statistics_kept(block)


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Keep BatchNorm's running statistics unchanged during recomputation.

    The norms stay in training mode, since the forward pass and its recomputation must save the same tensors.
    """
    norms = [layer for layer in block.modules() if isinstance(layer, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    counts = [None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone() for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            if count is not None and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(count)
