"""Small U-shaped ONNX networks, as other programs write them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from seg.models.foreign import measuring

FEATURES = 4
"""Channels of the hidden layers."""


def u_network(
    *,
    bands: int = 2,
    classes: int = 3,
    size: int | None = 64,
    ending: Sequence[NodeProto] = (),
    middle: Sequence[NodeProto] = (),
) -> ModelProto:
    """Convolution, pooling by 2, convolution, upsampling, skip and head.

    Args:
        bands: Channels of the input "input".
        classes: Channels of the head.
        size: Side of the image; None for images of any size.
        ending: Layers from "head" to "scores"; none for logits.
        middle: Layers from "low" to "middle", at half the resolution; none for no change.
    """
    resize = ["low_out", "", "factors"] if size is None else ["low_out", "", "", "sizes"]
    nodes = [
        helper.make_node("Conv", ["input", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["first"]),
        helper.make_node("MaxPool", ["first"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["pooled", "w2"], ["low"], pads=[1, 1, 1, 1]),
        *(middle or [helper.make_node("Identity", ["low"], ["middle"])]),
        helper.make_node("Relu", ["middle"], ["low_out"]),
        helper.make_node(
            "Resize",
            resize,
            ["up"],
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        ),
        helper.make_node("Concat", ["up", "first"], ["joined"], axis=1),
        helper.make_node("Conv", ["joined", "w3"], ["head" if ending else "scores"]),
        *ending,
    ]
    side: int | str = size or "side"
    shape = ["batch" if size is None else 1, bands, side, side]
    graph = helper.make_graph(
        nodes,
        "u",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, classes, side, side])],
        [
            _weights("w1", FEATURES, bands, 3, 3),
            _weights("w2", FEATURES, FEATURES, 3, 3),
            _weights("w3", classes, 2 * FEATURES, 1, 1),
            numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "factors"),
            numpy_helper.from_array(np.array([1, FEATURES, size or 1, size or 1], np.int64), "sizes"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _weights(name: str, *shape: int) -> TensorProto:
    seed = sum(map(ord, name))
    values = np.random.default_rng(seed).normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape)
    return numpy_helper.from_array(values.astype(np.float32), name)


def ending(kind: str) -> list[NodeProto]:
    """Layers from "head" to "scores": none for logits, or one softmax or sigmoid."""
    if kind == "logits":
        return []
    attributes = {"axis": 1} if kind == "Softmax" else {}
    return [helper.make_node(kind, ["head"], ["scores"], **attributes)]


def saved(model: ModelProto, path: Path) -> Path:
    """Write a network and return its path."""
    onnx.save(model, path)
    return path


def use_short_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure networks on shorter images, which suffice for the receptive fields of these networks."""
    for name, value in (("LENGTH", 768), ("FAR", 128), ("LIMIT", 300), ("CHANGES", 1)):
        monkeypatch.setattr(measuring, name, value)
