"""Control of BatchNorm's running statistics in steps with labelled samples, clean views and strong views."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from torch import nn

from seg.training.batch_norm import BatchNorm, batch_norms

NormPolicy = Literal["clean", "labelled", "frozen"]
"""Samples that update the running statistics. clean: labelled samples and clean views. labelled: labelled samples only.
frozen: labelled samples only, and strong views are normalised by the running statistics instead of batch statistics."""

Momentum = Callable[[float], float]


@contextmanager
def for_labelled(model: nn.Module, policy: NormPolicy) -> Iterator[None]:
    """Set BatchNorm's momentum for the labelled samples of a step while a `with` block runs.

    With the policy `clean`, clean views follow the labelled samples. Let m be the configured momentum. The momentum is
    (m/2) / (1 - m/2) for labelled samples and m/2 for clean views. Each of the two passes then has the share m/2 in the
    new statistics, and the old statistics have the share 1 - m.
    """
    with _momentum(model, (lambda m: (m / 2) / (1 - m / 2)) if policy == "clean" else (lambda m: m)):
        yield


@contextmanager
def for_clean(model: nn.Module) -> Iterator[None]:
    """Set BatchNorm's momentum for the clean views of a step while a `with` block runs; see `for_labelled`."""
    with _momentum(model, lambda m: m / 2):
        yield


@contextmanager
def for_strong(model: nn.Module, policy: NormPolicy) -> Iterator[None]:
    """Prevent strong views from updating the running statistics while a `with` block runs."""
    if policy != "frozen":
        with _momentum(model, lambda m: 0.0):
            yield
        return
    norms = _moving(model)
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()


@contextmanager
def _momentum(model: nn.Module, changed: Momentum) -> Iterator[None]:
    """Change the momentum of all norms that update running statistics while a `with` block runs."""
    norms = [(norm, norm.momentum) for norm in _moving(model) if norm.momentum is not None]
    for norm, momentum in norms:
        norm.momentum = changed(momentum)
    try:
        yield
    finally:
        for norm, momentum in norms:
            norm.momentum = momentum


def _moving(model: nn.Module) -> list[BatchNorm]:
    return [norm for norm in batch_norms(model) if norm.training and norm.running_mean is not None]
