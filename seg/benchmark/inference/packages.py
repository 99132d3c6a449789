"""Model packages for benchmarks: a network with random weights, and a 1×1 convolution."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from safetensors.numpy import save

from seg.benchmark.subjects import BANDS
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.onnx_export import INPUT, OUTPUT
from seg.package.checkpoint import Checkpoint
from seg.package.description import (
    DESCRIPTION,
    ONNX,
    WEIGHTS,
    ModelPackage,
    description_text,
)
from seg.package.write import add_onnx, write_package

MEAN, STD = 2250.0, 270.0
"""Mean and standard deviation of the synthetic scenes."""

_OPSET = 17


def write_random(folder: Path, config: ModelConfig) -> None:
    """Write a package of a network with random weights, including an ONNX file.

    Args:
        folder: Folder to write.
        config: Configuration of the network.
    """
    torch.manual_seed(0)
    model = build_model(config, BANDS)
    model.normalization.fill([MEAN] * BANDS, [STD] * BANDS)
    task = {"bands": BANDS, "model": config.arguments(), "threshold": 0.5}
    data = {
        "bands": list(range(1, BANDS + 1)),
        "image_bands": BANDS,
        "band_names": [""] * BANDS,
        "nodata": None,
        "pixel_size_m": None,
    }
    write_package(Checkpoint(folder, model.state_dict(), task, data, {}), folder)
    add_onnx(folder)


def write_pointwise(folder: Path) -> None:
    """Write a package of a 1×1 convolution, to measure inference without the cost of a real network.

    Only backends that read the ONNX file can open this package, since `build_model` does not know its architecture.

    Args:
        folder: Folder to write.
    """
    weights = np.full((1, BANDS, 1, 1), 1 / (STD * BANDS), np.float32)
    bias = np.array([-MEAN / STD], np.float32)
    content = save({"weight": weights, "bias": bias})
    weights_sha256 = hashlib.sha256(content).hexdigest()
    network = _convolution(weights, bias, weights_sha256).SerializeToString()
    package = ModelPackage(
        architecture={"name": "pointwise", "arguments": {}},
        bands=tuple(range(1, BANDS + 1)),
        image_bands=BANDS,
        band_names=("",) * BANDS,
        mean=(MEAN,) * BANDS,
        std=(STD,) * BANDS,
        nodata=None,
        pixel_size_m=None,
        temperature=1.0,
        bias=0.0,
        threshold=0.5,
        stride=1,
        receptive_field=0,
        metrics={},
        versions={},
        weights_sha256=weights_sha256,
        onnx_sha256=hashlib.sha256(network).hexdigest(),
    )
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(content)
    (folder / ONNX).write_bytes(network)
    (folder / DESCRIPTION).write_text(description_text(package), encoding="utf-8")


def _convolution(weights: np.ndarray, bias: np.ndarray, weights_sha256: str) -> ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Conv", [INPUT, "weight", "bias"], [OUTPUT])],
        "pointwise",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", BANDS, "height", "width"])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", 1, "height", "width"])],
        [numpy_helper.from_array(weights, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    helper.set_model_props(model, {"weights_sha256": weights_sha256})
    return model
