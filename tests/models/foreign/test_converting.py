from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper

from seg.errors import PackageError
from seg.models.foreign.converting import Converted, convert
from seg.models.foreign.running import Runner, noise
from seg.models.foreign.statements import ClassScores, Scores, Wanted, reference_probability
from support.onnx_networks import ending, saved, u_network

MEAN, STD = [100.0, 50.0], [20.0, 10.0]
WANTED = Wanted(mean=MEAN, std=STD, cropland=[1])


def converted(model: ModelProto, folder: Path, **statements: object) -> Converted:
    values = {"mean": MEAN, "std": STD, "cropland": [1], **statements}
    return convert(saved(model, folder / "net.onnx"), Wanted(**values))  # type: ignore[arg-type]


def test_network_exported_for_one_size_computes_images_of_any_multiple_of_its_stride(tmp_path: Path) -> None:
    found = converted(u_network(size=64), tmp_path)
    assert found.measured.stride == 2
    # A logit depends on at most 4 pixels to each side. The measured value may be larger by the stride minus 1.
    assert 4 <= found.measured.receptive_field <= 5
    assert found.measured.channels == 8
    image = noise(2, 70, 34)
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (MEAN, STD))
    logits = Runner(found.model).outputs(mean + std * image)[0]
    original = Runner(u_network(size=None)).outputs(((mean + std * image) - mean) / std)[0]
    wanted = reference_probability(original, ClassScores("scores", 3, (1,), "logits"))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[0])), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "classes", "cropland", "kind"),
    [
        ("logits", 1, (), "logits"),
        ("Sigmoid", 1, (0,), "sigmoid"),
        ("Softmax", 3, (0, 2), "softmax"),
        ("Sigmoid", 3, (1,), "sigmoid"),
    ],
)
def test_kind_of_scores_is_detected(
    layer: str, classes: int, cropland: tuple[int, ...], kind: Scores, tmp_path: Path
) -> None:
    model = u_network(size=None, classes=classes, ending=ending(layer))
    found = converted(model, tmp_path, cropland=cropland)  # compares the probabilities with those of the original
    assert found.scores == ClassScores("scores", classes, cropland or (0,), kind)


def test_sigmoid_that_is_not_the_last_layer_must_be_stated(tmp_path: Path) -> None:
    hidden = [
        helper.make_node("Sigmoid", ["head"], ["p"]),
        helper.make_node("Transpose", ["p"], ["turned"], perm=[0, 1, 3, 2]),
        helper.make_node("Transpose", ["turned"], ["scores"], perm=[0, 1, 3, 2]),
    ]
    model = u_network(size=None, classes=1, ending=hidden)
    with pytest.raises(PackageError, match="--scores=sigmoid"):
        converted(model, tmp_path, cropland=())
    assert converted(model, tmp_path, cropland=(), kind="sigmoid").scores.kind == "sigmoid"


def test_softmax_that_is_not_the_last_layer_is_detected_by_its_sums(tmp_path: Path) -> None:
    hidden = [
        helper.make_node("Transpose", ["head"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Softmax", ["last"], ["p"], axis=-1),
        helper.make_node("Transpose", ["p"], ["scores"], perm=[0, 3, 1, 2]),
    ]
    assert converted(u_network(ending=hidden), tmp_path).scores.kind == "softmax"


def test_weights_in_another_file_are_read(tmp_path: Path) -> None:
    onnx.save(u_network(), tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    assert convert(tmp_path / "net.onnx", WANTED).measured.stride == 2


def test_network_that_pools_over_the_window_is_refused(tmp_path: Path) -> None:
    pooled = [
        helper.make_node("GlobalAveragePool", ["low"], ["total"]),
        helper.make_node("Mul", ["total", "share"], ["part"]),
        helper.make_node("Add", ["low", "part"], ["middle"]),
    ]
    model = u_network(middle=pooled)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.01), "share"))
    with pytest.raises(PackageError, match=r"net\.onnx: its result depends on pixels more than 300 pixels away"):
        converted(model, tmp_path)


def test_network_that_depends_on_the_place_of_a_pixel_in_the_window_is_refused(tmp_path: Path) -> None:
    placed = [
        helper.make_node("Mul", ["low", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "slope"], ["slopes"]),
        helper.make_node("CumSum", ["slopes", "axis"], ["columns"]),
        helper.make_node("Add", ["low", "columns"], ["middle"]),
    ]
    model = u_network(middle=placed)
    values = {"zero": np.float32(0), "slope": np.float32(1e-3), "axis": np.int64(3)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.array(v), name) for name, v in values.items())
    with pytest.raises(PackageError, match="does not move with the image"):
        converted(model, tmp_path)


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        ({"stride": 1}, "shift of 1 pixels"),
        ({"cropland": ()}, "--class is not given; wanted one or several of 0 to 2"),
        ({"cropland": (3,)}, "--class is 3"),
        ({"cropland": (0, 1, 2)}, "--class is 0,1,2"),
        ({"kind": "softmax"}, "--scores is softmax, but the network gives logits"),
        ({"output": "other"}, "--scores-output is other; wanted one of .*: scores"),
        ({"mean": [0.0] * 3, "std": [1.0] * 3}, "--bands names 3 bands"),
    ],
)
def test_statement_that_contradicts_the_network_is_refused(
    statements: dict[str, object], named: str, tmp_path: Path
) -> None:
    with pytest.raises(PackageError, match=named):
        converted(u_network(), tmp_path, **statements)


def test_given_stride_is_used(tmp_path: Path) -> None:
    assert converted(u_network(), tmp_path, stride=8).measured.stride == 8
