"""A model package in ONNX Runtime on the CPU; needs no PyTorch."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg.inference.backends import Pending, Probability
from seg.inference.onnx_file import BOUNDARY, OUTPUT, open_session
from seg.package.description import ModelPackage
from seg.raster.chips import FloatImage


class OnnxBackend:
    """A model package in ONNX Runtime.

    Args:
        folder: The package's folder.
        package: Its description.
        threads: Threads that compute; 0 for all cores, or what OMP_NUM_THREADS says.
        interior: Give the probability of cropland that is not the edge of a parcel; needs a boundary head.

    Raises:
        PackageError: The package has no ONNX file, and it cannot be made.
    """

    name = "onnx cpu 32"
    ahead = 0

    def __init__(self, folder: Path, package: ModelPackage, threads: int = 0, interior: bool = False) -> None:
        self.session = open_session(folder, package, threads)
        self.temperature, self.bias = package.temperature, package.bias
        self.outputs = [OUTPUT, BOUNDARY] if interior else [OUTPUT]

    def start(self, image: FloatImage) -> Pending:
        """The (H, W) probability of a (C, H, W) image, computed at once."""
        logits = self.session.run(self.outputs, {"image": np.ascontiguousarray(image)[None]})
        probability = _sigmoid(logits[0][0, 0] / np.float32(self.temperature) + np.float32(self.bias))
        if len(logits) > 1:
            # The boundary was not calibrated: its logits stay as they are.
            probability *= 1 - _sigmoid(logits[1][0, 0])
        return lambda: probability


def _sigmoid(logits: npt.NDArray[np.float32]) -> Probability:
    """The logistic function of an array, which is overwritten."""
    with np.errstate(over="ignore"):  # of a very low logit: 1 / (1 + inf) is 0
        np.exp(np.negative(logits, out=logits), out=logits)
    logits += 1
    return np.reciprocal(logits, out=logits)
