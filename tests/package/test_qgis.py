import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from seg.errors import PackageError
from seg.inference.compute.onnx_backend import OnnxBackend
from seg.package import qgis
from seg.package.description import DESCRIPTION, description_text
from seg.package.qgis import add_qgis
from seg.package.read import read_package
from seg.package.write import add_onnx
from support.onnx_networks import u_network
from support.packages import copy_by_scene, write_tiny_package

SIDE = 96


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A calibrated package for images of 8 bits."""
    monkeypatch.setattr(qgis, "SIDES", (SIDE,))
    folder = write_tiny_package(tmp_path / "model")
    package = replace(read_package(folder), temperature=1.5, bias=-0.25, threshold=0.4)
    (folder / DESCRIPTION).write_text(description_text(package))
    return folder


def as_the_plugin_reads(image: np.ndarray) -> np.ndarray:
    """Divide a tile (H, W, C) of any type by 255, as Deepness 0.6.5 does, and put channels first."""
    return np.float32(image * 1.0 / 255.0).transpose(2, 0, 1)[None]


def test_plugin_gets_the_probabilities_of_the_package(folder: Path) -> None:
    path = add_qgis(folder)
    assert not (folder / "model.onnx").exists()
    add_onnx(folder)
    package = read_package(folder)
    session = onnxruntime.InferenceSession(path)
    backend = OnnxBackend(folder, package)
    for kind, high in ((np.uint8, 255), (np.uint16, 4000)):
        image = np.random.default_rng(0).integers(0, high, (SIDE, SIDE, 3)).astype(kind)
        found = session.run(None, {"image": as_the_plugin_reads(image)})[0]
        wanted = backend.start(image.transpose(2, 0, 1).astype(np.float32))()
        np.testing.assert_allclose(found[0, 0], wanted, atol=1e-5)
        assert np.unique(found).size > 100


def test_file_keeps_the_contract_of_the_plugin(folder: Path) -> None:
    session = onnxruntime.InferenceSession(add_qgis(folder))
    (source,), (result,) = session.get_inputs(), session.get_outputs()
    assert (source.shape, result.shape) == ([1, 3, SIDE, SIDE], [1, 1, SIDE, SIDE])
    settings = session.get_modelmeta().custom_metadata_map
    assert {name: json.loads(text) for name, text in settings.items() if name != "weights_sha256"} == {
        "model_type": "Segmentor",
        "class_names": {"0": "cropland"},
        "resolution": 1000.0,
        "tile_size": SIDE,
        "tiles_overlap": min(-(-200 * (read_package(folder).receptive_field or 0) // SIDE), 50),
        "seg_thresh": 0.4,
        "seg_small_segment": 0,
        "standardization_mean": [0.0] * 3,
        "standardization_std": [1.0] * 3,
    }


def test_versions_of_the_file_are_old_enough_for_the_runtime_of_the_plugin(folder: Path) -> None:
    model = onnx.load(add_qgis(folder))
    assert model.ir_version <= 9
    assert all(entry.version <= 20 for entry in model.opset_import)
    newer = u_network(bands=3, classes=1, size=None)
    newer.opset_import[0].version = 21
    newer.graph.node[-1].output[0] = "logits"
    newer.graph.node[0].input[0] = "image"
    newer.graph.input[0].name, newer.graph.output[0].name = "image", "logits"
    converted = qgis.plugin_network(newer, read_package(folder), SIDE)
    assert converted.opset_import[0].version <= 20


def test_a_new_package_removes_the_file_of_earlier_weights(folder: Path) -> None:
    path = add_qgis(folder)
    write_tiny_package(folder)
    assert not path.exists()


def test_the_plugin_cannot_normalise_each_scene(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="cannot compute; leave --qgis out"):
        add_qgis(copy_by_scene(folder, tmp_path / "by_scene"))
