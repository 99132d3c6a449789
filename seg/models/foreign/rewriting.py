"""Rewrite a network of another program, so that it takes images of any size in stored units and gives one logit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    compose,
    helper,
    numpy_helper,
    shape_inference,
)

from seg.errors import ConfigError
from seg.models.foreign.statements import ClassScores, Scores

PREFIX = "network/"
"""Prefix of all names of the original network, so that they differ from the names of added layers."""

OLDEST_OPSET = 13
"""Operators of older versions are converted, since their Softmax and ReduceSum work differently."""

CONVERTED_OPSET = 18

LEAST_PROBABILITY = 1e-7
"""Probabilities are clipped to this distance from 0 and 1 before a logit is computed from them."""


def free_sizes(model: ModelProto, image: str) -> ModelProto:
    """Make a network accept images of any height and width, if it was exported for one size.

    Upsampling layers of such a network store a fixed size. Each of these sizes is replaced by the factor between the
    layer's input and output.

    Args:
        model: The network.
        image: Name of its input.

    Returns:
        A new network. It may still refuse other sizes, so the caller has to try it.
    """
    freed = ModelProto()
    freed.CopyFrom(_upgraded(model))
    factors = _upsampling_factors(freed)
    for node in freed.graph.node:
        if node.name in factors and len(node.input) > 3:
            name = f"{node.name}/factors"
            freed.graph.initializer.append(numpy_helper.from_array(np.array(factors[node.name], np.float32), name))
            del node.input[2:]
            node.input.append(name)
    del freed.graph.value_info[:]
    for value in freed.graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in freed.graph.input:
        if value.name == image:
            dims = value.type.tensor_type.shape.dim
            dims[0].dim_value = 1
            dims[2].dim_param, dims[3].dim_param = "height", "width"
    return freed


def _upgraded(model: ModelProto) -> ModelProto:
    from onnx import version_converter

    if opset_of(model) >= OLDEST_OPSET:
        return model
    try:
        return version_converter.convert_version(model, CONVERTED_OPSET)
    except Exception as error:  # The converter raises bare RuntimeErrors and errors of protobuf.
        raise ConfigError(f"has ONNX version {opset_of(model)}; wanted {OLDEST_OPSET} or newer") from error


def opset_of(model: ModelProto) -> int:
    """Version of the standard operators of a network."""
    return int(max(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}))


def _upsampling_factors(model: ModelProto) -> dict[str, list[float]]:
    """Factors of upsampling layers along the four axes, by layer name; layers with unknown sizes are left out."""
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{number}"
    shapes = known_shapes(model)
    found = {}
    for node in model.graph.node:
        # Input 3 is the wanted size. Without it, the layer has factors already.
        if node.op_type != "Resize" or len(node.input) < 4 or not node.input[3]:
            continue
        before, after = shapes.get(node.input[0], []), shapes.get(node.output[0], [])
        if len(before) == len(after) == 4 and min(*before, *after) > 0:
            found[node.name] = [large / small for small, large in zip(before, after, strict=True)]
    return found


def known_shapes(model: ModelProto) -> dict[str, list[int]]:
    """Sizes of all tensors by name, as far as they follow from the size of the input; unknown sizes are 0."""
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    values = [*inferred.input, *inferred.value_info, *inferred.output]
    return {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values}


def detected_kind(model: ModelProto, output: str) -> Scores:
    """Kind of the scores, judged by the layer that computes them; "auto" if this layer does not determine the kind."""
    node = _source(model.graph, output)
    if node is None:
        return "auto"
    if node.op_type == "Softmax":
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), -1)
        return "softmax" if axis in {1, -3} else "auto"
    return {"Sigmoid": "sigmoid", "HardSigmoid": "sigmoid", "Conv": "logits", "ConvTranspose": "logits"}.get(
        node.op_type, "auto"
    )  # type: ignore[return-value]


def _source(graph: GraphProto, name: str) -> NodeProto | None:
    """The layer that computes a tensor, without layers that only pass it on."""
    makers = {made: node for node in graph.node for made in node.output}
    node = makers.get(name)
    while node is not None and node.op_type in {"Identity", "Dropout"}:
        node = makers.get(node.input[0])
    return node


def with_standard_interface(
    model: ModelProto, mean: Sequence[float], std: Sequence[float], scores: ClassScores
) -> ModelProto:
    """Add normalisation in front of a network and the logit of cropland behind it.

    The input "image" is (1, C, H, W) float32 in stored units. The output "logits" is (1, 1, H, W) float32. If the
    classes exclude each other, the logit is the log-sum-exp of the cropland classes minus the log-sum-exp of all other
    classes. The sigmoid of this logit is the sum of the softmax probabilities of the cropland classes.

    Args:
        model: The network, as `free_sizes` returns it.
        mean: Mean of each band in stored units.
        std: Standard deviation of each band.
        scores: Output that holds the scores, and numbers of the cropland classes.
    """
    named = compose.add_prefix(_stripped(model), PREFIX)
    graph, opset = named.graph, opset_of(named)
    given = {tensor.name for tensor in graph.initializer}
    source = next(value for value in graph.input if value.name not in given)
    builder = _Builder(graph, opset)
    kind = source.type.tensor_type.elem_type
    shifted = builder.add("Sub", ["image", builder.constant(np.array(mean, np.float32)[:, None, None])])
    scaled = builder.add("Div", [shifted, builder.constant(np.array(std, np.float32)[:, None, None])])
    builder.add("Cast", [scaled], {"to": kind}, made=source.name)
    before, builder.nodes = builder.nodes, []
    logits = builder.logit(f"{PREFIX}{scores.output}", scores)
    builder.add("Identity", [logits], made="logits")
    nodes = [*before, *graph.node, *builder.nodes]
    values = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, len(mean), "height", "width"]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1, "height", "width"]),
    ]
    built = pruned_graph(nodes, values[0], values[1], list(graph.initializer))
    return helper.make_model(built, opset_imports=named.opset_import, ir_version=named.ir_version)


def _stripped(model: ModelProto) -> ModelProto:
    """A copy without the notes of the exporter. These notes may hold paths of the machine that wrote the file."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    return copy


def pruned_graph(
    nodes: Sequence[NodeProto], source: ValueInfoProto, result: ValueInfoProto, weights: Sequence[TensorProto]
) -> GraphProto:
    """Build a graph of the layers and weights that one output depends on.

    Args:
        nodes: Layers in order.
        source: The input.
        result: The output.
        weights: Constant tensors.
    """
    wanted, kept = {result.name}, []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    used = [tensor for tensor in weights if tensor.name in wanted]
    return helper.make_graph(kept[::-1], "network", [source], [result], used)


class _Builder:
    """Layers that are added to a graph."""

    def __init__(self, graph: GraphProto, opset: int) -> None:
        self.graph, self.opset = graph, opset
        self.nodes: list[NodeProto] = []
        self._count = 0

    def add(
        self, kind: str, inputs: Sequence[str], attributes: Mapping[str, Any] | None = None, made: str | None = None
    ) -> str:
        """Add a layer and return the name of its output."""
        name = made or self._name()
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **(attributes or {})))
        return name

    def constant(self, values: np.ndarray) -> str:
        """Add an array and return its name."""
        name = self._name()
        self.graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def _name(self) -> str:
        self._count += 1
        return f"interface/{self._count}"

    def logit(self, output: str, scores: ClassScores) -> str:
        """Add layers that compute the logit of cropland from an output, and return the name of the logit."""
        peeled = self._before_activation(output, scores.kind)
        found = self.add("Cast", [peeled or output], {"to": TensorProto.FLOAT})
        if peeled is None and scores.kind != "logits":
            return self._logit_of_probability(found, scores)
        if scores.count == 1:
            return found
        mine = self._classes(found, scores.cropland)
        if scores.kind == "sigmoid":
            return mine
        others = [number for number in range(scores.count) if number not in scores.cropland]
        total = self._log_sum_exp(mine, len(scores.cropland))
        return self.add("Sub", [total, self._log_sum_exp(self._classes(found, others), len(others))])

    def _before_activation(self, output: str, kind: Scores) -> str | None:
        """Input of the final softmax or sigmoid; None if there is none."""
        node = _source(self.graph, output)
        if node is None or node.op_type.lower() != kind:
            return None
        return str(node.input[0])

    def _logit_of_probability(self, found: str, scores: ClassScores) -> str:
        part = self._classes(found, scores.cropland) if scores.count > 1 else found
        if len(scores.cropland) > 1:
            part = self._reduced("ReduceSum", part)
        least, most = (self.constant(np.array(edge, np.float32)) for edge in (LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
        part = self.add("Clip", [part, least, most])
        rest = self.add("Sub", [self.constant(np.array(1, np.float32)), part])
        return self.add("Sub", [self.add("Log", [part]), self.add("Log", [rest])])

    def _classes(self, found: str, numbers: Sequence[int]) -> str:
        return self.add("Gather", [found, self.constant(np.array(numbers, np.int64))], {"axis": 1})

    def _log_sum_exp(self, found: str, count: int) -> str:
        """Logarithm of the sum of exponentials over the classes; the largest value is subtracted to avoid overflow."""
        if count == 1:
            return found
        largest = self._reduced("ReduceMax", found)
        summed = self._reduced("ReduceSum", self.add("Exp", [self.add("Sub", [found, largest])]))
        return self.add("Add", [largest, self.add("Log", [summed])])

    def _reduced(self, kind: str, found: str) -> str:
        # The axes became an input in version 13 for sums and in version 18 for maxima.
        if kind == "ReduceMax" and self.opset < 18:
            return self.add(kind, [found], {"axes": [1], "keepdims": 1})
        return self.add(kind, [found, self.constant(np.array([1], np.int64))], {"keepdims": 1})
