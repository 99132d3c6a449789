"""The user's statements about a network of another program, and a description of its class scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Scores = Literal["auto", "logits", "softmax", "sigmoid"]
"""Kind of a network's class scores: logits, or probabilities that sum to 1 over the classes (softmax) or do not
(sigmoid); auto is detected."""


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
    """Cropland in the scores of a network.

    Attributes:
        output: Name of the output that holds the scores, (1, K, H, W).
        count: Number of classes, K.
        cropland: Numbers of the classes that are cropland, from 0.
        kind: Kind of the scores, but never "auto". Logits of several classes belong to a softmax.
    """

    output: str
    count: int
    cropland: tuple[int, ...]
    kind: Scores
