"""The user's statements about a network of another program, and the probability of cropland from its class scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Scores = Literal["auto", "logits", "softmax", "sigmoid"]
"""Kind of a network's class scores: logits; softmax, probabilities that sum to 1 over the classes; sigmoid, an
independent probability of each class; or auto, to detect the kind."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Statements about a network that its file does not contain.

    Attributes:
        mean: Mean of each band in stored units; the network gets (image - mean) / std.
        std: Standard deviation of each band in stored units.
        cropland: Numbers of the classes that are cropland, from 0; empty for a network with one class.
        kind: Kind of the class scores.
        output: Name of the output with the class scores; None if there is only one.
        stride: Stride in pixels; None to measure it.
    """

    mean: Sequence[float]
    std: Sequence[float]
    cropland: Sequence[int] = ()
    kind: Scores = "auto"
    output: str | None = None
    stride: int | None = None


@dataclass(frozen=True)
class ClassScores:
    """Class scores of a network, and the classes that are cropland.

    Attributes:
        output: Name of the output that holds the scores, (1, K, H, W).
        count: Number of classes, K.
        cropland: Numbers of the classes that are cropland, from 0.
        kind: Kind of the scores; never "auto". Logits of several classes are converted with softmax.
    """

    output: str
    count: int
    cropland: tuple[int, ...]
    kind: Scores


def reference_probability(found: npt.NDArray[np.float32], scores: ClassScores) -> npt.NDArray[np.float32]:
    """Probability of cropland (1, H, W) from the class scores (1, K, H, W) of the other program's network."""
    values = found.astype(np.float64)
    if scores.kind == "sigmoid" or scores.count == 1:
        one = values[:, scores.cropland[0]]
        return np.asarray(sigmoid(one) if scores.kind == "logits" else one, np.float32)
    if scores.kind == "logits":
        values = np.exp(values - values.max(axis=1, keepdims=True))
        values /= values.sum(axis=1, keepdims=True)
    return np.asarray(values[:, list(scores.cropland)].sum(axis=1), np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probability, float64, of logits of any shape."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -700, 700))))
