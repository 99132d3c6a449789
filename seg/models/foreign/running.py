"""Run ONNX networks in memory with ONNX Runtime."""

import os

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import ModelProto

from seg.errors import ConfigError

Floats = npt.NDArray[np.float32]


class Runner:
    """A network in memory.

    Args:
        model: The network, with one input.

    Raises:
        ConfigError: ONNX Runtime cannot read the network, for example because its version of ONNX is too new.
    """

    def __init__(self, model: ModelProto) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # ONNX Runtime logs the errors that it also raises
        # By default, ONNX Runtime starts a thread for each core of the machine, even if this process may use fewer.
        options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        try:
            self.session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # The errors of ONNX Runtime have no common base class.
            raise ConfigError(f"ONNX Runtime cannot read it ({_reason(error)})") from error

    def outputs(self, image: Floats) -> list[Floats]:
        """Compute all outputs for an image (1, C, H, W), as float32.

        Raises:
            ConfigError: The network does not accept an image of this size.
        """
        source = self.session.get_inputs()[0]
        kind = {"tensor(float16)": np.float16, "tensor(double)": np.float64}.get(source.type, np.float32)
        try:
            found = self.session.run(None, {source.name: image.astype(kind)})
        except Exception as error:  # The errors of ONNX Runtime have no common base class.
            height, width = image.shape[2:]
            raise ConfigError(f"it does not accept {height} x {width} pixels ({_reason(error)})") from error
        return [np.asarray(output, dtype=np.float32) for output in found]


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:150]


def noise(bands: int, height: int, width: int, seed: int = 0) -> Floats:
    """Random image (1, C, H, W) with mean 0 and standard deviation 1: pixel noise plus noise of 16-pixel patches."""
    random = np.random.default_rng(seed)
    details = random.standard_normal((1, bands, height, width), dtype=np.float32)
    patches = random.standard_normal((1, bands, -(-height // 16), -(-width // 16)), dtype=np.float32)
    spread = patches.repeat(16, axis=2).repeat(16, axis=3)[:, :, :height, :width]
    image: Floats = (0.8 * details + 0.6 * spread).astype(np.float32)
    return image
