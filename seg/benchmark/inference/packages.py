"""Model packages for benchmarks: a network with random weights, and a 1×1 convolution."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from safetensors.numpy import save
from torch.nn.functional import binary_cross_entropy_with_logits

from seg.benchmark.subjects import BANDS, synthetic_pixels
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.onnx_export import INPUT, OUTPUT
from seg.models.segmenter import Segmenter
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

TRAINING_STEPS, TRAINING_SIDE = 60, 256
"""Optimiser steps of a short training, and side of an image in pixels."""

_OPSET = 17


def write_random(folder: Path, config: ModelConfig) -> None:
    """Write a package of a network with random weights, including an ONNX file.

    Args:
        folder: Folder to write.
        config: Configuration of the network.
    """
    _write(folder, config, _random(config))
    add_onnx(folder)


def write_trained(folder: Path, config: ModelConfig, device: torch.device) -> None:
    """Write a package of a network that was trained briefly on pixels like those of the synthetic scenes.

    Its probabilities are near 0 or 1 within fields, as those of a real network are. Probabilities of random weights lie
    near the threshold, so the smallest change would flip classes.

    Args:
        folder: Folder to write.
        config: Configuration of the network.
        device: Device for training.
    """
    model = _random(config).train().to(device)
    optimizer, random = torch.optim.AdamW(model.parameters(), 1e-3), np.random.default_rng(0)
    for _ in range(TRAINING_STEPS):
        pixels, labels = synthetic_pixels(random, (TRAINING_SIDE, TRAINING_SIDE))
        image, wanted = (torch.from_numpy(each.astype(np.float32)).to(device) for each in (pixels, labels))
        loss = binary_cross_entropy_with_logits(model(image[None]), wanted[None, None])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    _write(folder, config, model.cpu().eval())


def _random(config: ModelConfig) -> Segmenter:
    torch.manual_seed(0)
    model = build_model(config, BANDS)
    model.normalization.fill([MEAN] * BANDS, [STD] * BANDS)
    return model


def _write(folder: Path, config: ModelConfig, model: Segmenter) -> None:
    task = {"bands": BANDS, "model": config.arguments(), "threshold": 0.5}
    data = {
        "bands": list(range(1, BANDS + 1)),
        "image_bands": BANDS,
        "band_names": [""] * BANDS,
        "nodata": None,
        "pixel_size_m": None,
    }
    write_package(Checkpoint(folder, model.state_dict(), task, data, {}), folder)


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
