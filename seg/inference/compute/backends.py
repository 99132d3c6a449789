"""What computes probabilities: one small interface, implemented once a library."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seg.raster.chips import FloatImage

Probability = npt.NDArray[np.float32]
Pending = Callable[[], Probability]
"""Waits for a probability that is being computed, and gives it."""


class Backend(Protocol):
    """A model as a function of arrays.

    Attributes:
        name: Library, device and precision: with another name, results differ in their last bits.
        ahead: Images worth starting before the first one's result is asked for; 0 where `start` itself computes.
    """

    name: str
    ahead: int

    def start(self, image: FloatImage) -> Pending:
        """Begin with the (H, W) cropland probability, 0 to 1, of a (C, H, W) float32 image in stored units.

        After temperature and bias of the package: sigmoid(logit / temperature + bias).
        """
