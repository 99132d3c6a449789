"""Trade time for memory: compute the insides of a network's blocks again in the backward pass."""

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
    """Let the blocks of a network keep their input alone in training, and compute the rest again in the backward pass.

    This is gradient checkpointing (Chen et al. 2016, https://arxiv.org/abs/1604.06174). Loss, gradients and BatchNorm
    statistics stay the same to the bit, with dropout too; a training step costs about another forward pass. Weights and
    their names stay as they are, and so does a network that evaluates, as for a map or for ONNX.

    Args:
        model: Of any architecture.

    Raises:
        ConfigError: The network has no blocks. When it trains: one changes its input, so that it cannot be recomputed.
    """
    blocks = recomputed_blocks(model.network)
    if not blocks:
        raise ConfigError("model.gradient_checkpointing is true, but the network has no blocks to recompute")
    for block in blocks:
        # A bound method, which a copy of the network binds to its own block; of an instance, so no name changes.
        block.__dict__["forward"] = MethodType(_recomputed, block)


def recomputed_blocks(network: nn.Module) -> list[nn.Module]:
    """The outermost modules with several layers that are part of a list: residual blocks, stages, branches."""
    return [block for child in network.children() for block in _blocks(child, isinstance(network, _LISTS))]


def _blocks(module: nn.Module, listed: bool) -> Iterator[nn.Module]:
    layers = sum(1 for layer in module.modules() if next(layer.parameters(recurse=False), None) is not None)
    # A list of its own is called by its parts where it is no Sequential, so that only these can be recomputed.
    if listed and layers > 1 and not isinstance(module, nn.ModuleList | nn.ModuleDict):
        yield module
        return
    for child in module.children():
        yield from _blocks(child, isinstance(module, _LISTS))


def _recomputed(block: nn.Module, *inputs: object, **named: object) -> object:
    """The output of a block, whose insides are forgotten if a backward pass will follow."""
    forward = partial(type(block).forward, block, **named)
    if not (block.training and is_grad_enabled()):
        return forward(*inputs)
    tensors = [each for each in (*inputs, *named.values()) if isinstance(each, Tensor)]
    versions = [tensor._version for tensor in tensors]
    # A list may grow later, as that of the features in a dense block.
    kept = [list(each) if isinstance(each, list) else each for each in inputs]
    output = checkpoint(forward, *kept, use_reentrant=False, context_fn=partial(_contexts, block))
    if [tensor._version for tensor in tensors] != versions:
        raise ConfigError(
            f"model.gradient_checkpointing is true, but a {type(block).__name__} of this network changes its input and "
            "cannot be recomputed; leave it out, or take another encoder: dilated_small, resnet18 and resnet50 work"
        )
    return output


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Around the forward pass, and around the one that is repeated."""
    return nullcontext(), _statistics_kept(block)


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Norms that use a batch's statistics as before, but do not take them up into the running ones a second time.

    They must go on tracking: what is saved in the two passes has to match, running statistics included.
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
