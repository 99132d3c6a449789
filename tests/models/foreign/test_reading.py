import pickle
from pathlib import Path

import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, helper

from seg.errors import PackageError
from seg.models.foreign.reading import read_network
from support.onnx_networks import saved, u_network


def _with_ending(node: onnx.NodeProto) -> ModelProto:
    return u_network(ending=[node])


def _counted() -> ModelProto:
    model = _with_ending(helper.make_node("ArgMax", ["head"], ["scores"], axis=1))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    return model


def _two_inputs() -> ModelProto:
    model = u_network()
    model.graph.input.append(helper.make_tensor_value_info("date", TensorProto.FLOAT, [1]))
    return model


def _branching() -> ModelProto:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["head"], ["inner"])],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )
    model = _with_ending(helper.make_node("If", ["yes"], ["scores"], then_branch=branch, else_branch=branch))
    model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    return model


def _bytes_in() -> ModelProto:
    model = u_network()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node.insert(0, helper.make_node("Cast", ["input"], ["floats"], to=TensorProto.FLOAT))
    model.graph.node[1].input[0] = "floats"
    return model


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (_counted(), "gives class numbers, not scores"),
        (_two_inputs(), "has the inputs input, date; wanted one image"),
        (_branching(), r"has control flow \(If\)"),
        (_bytes_in(), r"takes uint8 \(1, 2, 64, 64\); wanted one image of floats"),
        (u_network(bands=3), r"takes float \(1, 3, 64, 64\), and --bands names 2 bands"),
        (
            _with_ending(helper.make_node("Fast", ["head"], ["scores"], domain="shop")),
            r"not part of ONNX \(shop\.Fast\)",
        ),
    ],
)
def test_network_that_cannot_be_used_safely_is_refused(model: ModelProto, named: str, tmp_path: Path) -> None:
    if "shop" in named:
        model.opset_import.append(helper.make_opsetid("shop", 1))
    with pytest.raises(PackageError, match=named) as caught:
        read_network(saved(model, tmp_path / "net.onnx"), bands=2)
    assert "\n" not in str(caught.value)


def test_file_that_could_execute_code_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "torch.onnx")
    (tmp_path / "pickle.onnx").write_bytes(pickle.dumps([1]))
    for name, said in (("torch", "TorchScript or PyTorch file"), ("pickle", "a pickle"), ("none", "no such file")):
        with pytest.raises(PackageError, match=said):
            read_network(tmp_path / f"{name}.onnx", bands=2)
    (tmp_path / "text.onnx").write_text("just text")
    with pytest.raises(PackageError, match="damaged, or not an ONNX file"):
        read_network(tmp_path / "text.onnx", bands=2)


def test_weights_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    path = inside / "net.onnx"
    onnx.save(u_network(), path, save_as_external_data=True, location="net.data", size_threshold=0)
    (inside / "net.data").rename(tmp_path / "net.data")
    with pytest.raises(PackageError, match=r"weights are in net\.data, which is missing"):
        read_network(path, bands=2)
    (inside / "net.data").symlink_to(tmp_path / "net.data")
    with pytest.raises(PackageError, match="wanted a plain file in the same folder"):
        read_network(path, bands=2)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = "../net.data"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(PackageError, match=r"names \.\./net\.data as the file of its weights"):
        read_network(path, bands=2)
