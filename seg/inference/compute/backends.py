"""The interface between prediction and the libraries that compute probabilities."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seg.raster.chips import FloatImage

Probability = npt.NDArray[np.float32]
Features = npt.NDArray[np.float32]
"""(F, h, w) deepest features of a network, at its stride."""

Pending = Callable[[], Probability]
"""Function that waits for a probability and returns the probability."""


class Backend(Protocol):
    """A model as a function of arrays.

    Attributes:
        name: Library, device and precision. Results of backends with different names differ in their last bits.
        bytes_per_channel: Memory of the network in bytes, per pixel and per channel of its last feature map, which is
            its largest feature map.
        device_memory: Free memory in bytes of a device that has its own memory; None for other devices.
        ahead: Number of further images to start before waiting for the result of the first image; 0 if `start` computes
            the result itself.
    """

    name: str
    bytes_per_channel: int
    device_memory: int | None
    ahead: int

    def start(self, image: FloatImage) -> Pending:
        """Start computing the cropland probability of an image.

        The probability is sigmoid(logit / temperature + bias), with temperature and bias of the package.

        Args:
            image: (C, H, W) float32 in stored units.

        Returns:
            A function that returns the (H, W) float32 probability, 0 to 1.
        """

    @property
    def has_features(self) -> bool:
        """True if `features` can be called; False if the network has no encoder or the ONNX file has no features."""

    def features(self, image: FloatImage) -> Features:
        """Compute the deepest features of an image.

        Args:
            image: (C, H, W) float32 in stored units.

        Returns:
            (F, h, w) float32; h is H / stride and w is W / stride, both rounded up.
        """
