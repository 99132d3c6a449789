"""Running statistics of BatchNorm while a student sees labelled samples, clean and strong views in one step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from torch import nn

from seg.training.batch_norm import BatchNorm, batch_norms

NormPolicy = Literal["clean", "labelled", "frozen"]
"""Samples that move the running statistics: labelled ones and clean views, or labelled ones alone. With "frozen" they
are labelled ones too, and strong views are normalised by the running statistics instead of their own."""

Momentum = Callable[[float], float]


@contextmanager
def for_labelled(model: nn.Module, policy: NormPolicy) -> Iterator[None]:
    """Momentum for the labelled samples of a step.

    With clean views, both passes together move the statistics as one pass over their mean would: by a momentum of m/2
    after one of (m/2) / (1 - m/2), (1 - m) of the old statistics stays, and each pass has the share m/2.
    """
    with _momentum(model, (lambda m: (m / 2) / (1 - m / 2)) if policy == "clean" else (lambda m: m)):
        yield


@contextmanager
def for_clean(model: nn.Module) -> Iterator[None]:
    """Momentum for the clean views of a step, which follow the labelled samples."""
    with _momentum(model, lambda m: m / 2):
        yield


@contextmanager
def for_strong(model: nn.Module, policy: NormPolicy) -> Iterator[None]:
    """Mode for strong views, whose changed values never move running statistics."""
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
    """Momentum of all norms that follow their batches, changed for the time of a block."""
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
