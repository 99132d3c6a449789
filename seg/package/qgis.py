"""An ONNX file that the Deepness plugin of QGIS opens without further settings.

Deepness 0.6.5 (https://github.com/PUTvision/qgis-plugin-deepness) requires one input (1, C, S, S) and one output (1, 1,
S, S) of a fixed side S, and settings as JSON in the file's metadata. The plugin divides every image by 255, even images
of 16 bits, and pads images with 0. It installs ONNX Runtime 1.17.0 or older.
"""

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper, version_converter

from seg.errors import ConfigError, PackageError
from seg.files import claimed, complete_in_claimed_folder, sha256, writing
from seg.labels import CROPLAND, LABEL_NAMES
from seg.models.foreign.rewriting import opset_of, pruned_graph
from seg.models.foreign.running import Runner
from seg.package.description import ONNX, QGIS, ModelPackage
from seg.package.read import network_file, read_package
from seg.package.write import add_onnx

NEWEST_OPSET, CONVERTED_OPSET, IR_VERSION = 20, 18, 8
"""Newest version of operators that is kept, version to which newer operators are converted, and version of the file
format. ONNX Runtime 1.17.0 reads operators up to version 20 and formats up to version 9."""

SIDES = (512, 1024)
"""Possible sides of the image in pixels. `tile_side` takes the first side that is at least four times the context, or
else the last side."""

MOST_OVERLAP = 50
"""Largest overlap of neighbouring tiles in percent of the side."""

UNBOUNDED = 256
"""Context in pixels for a network with an unbounded receptive field."""

TOLERANCE = 1e-5
"""Largest accepted difference between the probabilities of this file and of the package."""


def add_qgis(folder: Path) -> Path:
    """Write the file for QGIS beside a package's network, compare it with the network, and return its path.

    The network of the file multiplies the image by 255, since the plugin has divided it by 255. It then applies the
    normalisation, the layers of the package, the calibration and the sigmoid.

    Args:
        folder: The package.

    Raises:
        PackageError: The package is missing or damaged, or its network cannot be exported.
        WriteError: The file cannot be written.
    """
    package = read_package(folder)
    if package.normalises_scenes:
        raise PackageError(
            f"{folder}: normalises each scene by its own statistics, which the plugin of QGIS cannot compute; leave "
            "--qgis out and map with scripts/predict.py, or train with --model.model.normalisation=dataset"
        )
    network = _network(folder, package)
    side = tile_side(package)
    try:
        model = plugin_network(network, package, side)
        _require_equal(model, network, package)
    except ConfigError as error:
        raise PackageError(f"{folder}: cannot be written for QGIS: {error}; leave --qgis out") from error
    with writing(folder), claimed(folder, wait=True), complete_in_claimed_folder(folder / QGIS) as unfinished:
        unfinished.write_bytes(model.SerializeToString(deterministic=True))
    return folder / QGIS


def _network(folder: Path, package: ModelPackage) -> ModelProto:
    """The network with uncalibrated logits: the ONNX file of the package, or a new one from its weights."""
    if package.network is not None:
        return onnx.load(network_file(folder, package))
    path = folder / ONNX
    if package.onnx_sha256 is not None and path.is_file() and sha256(path) == package.onnx_sha256:
        return onnx.load(path)
    with TemporaryDirectory() as place:
        return onnx.load(add_onnx(folder, Path(place) / ONNX))


def tile_side(package: ModelPackage) -> int:
    """Side of the image in pixels, a multiple of the stride."""
    context = _context(package)
    side = next((side for side in SIDES if side >= 4 * context), SIDES[-1])
    return -(-side // package.stride) * package.stride


def _context(package: ModelPackage) -> int:
    return UNBOUNDED if package.receptive_field is None else package.receptive_field


def plugin_network(network: ModelProto, package: ModelPackage, side: int) -> ModelProto:
    """Build the network for the plugin.

    Args:
        network: Input "image" in stored units, output "logits".
        package: Description of the network.
        side: Side of the image in pixels.

    Raises:
        ConfigError: The network uses operators that the plugin's version of ONNX Runtime lacks.
    """
    fixed = ModelProto()
    fixed.CopyFrom(network)
    if opset_of(fixed) > NEWEST_OPSET:
        try:
            fixed = version_converter.convert_version(fixed, CONVERTED_OPSET)
        except Exception as error:  # The converter raises bare RuntimeErrors.
            reason = f"its ONNX operators have version {opset_of(network)}; the plugin reads up to {NEWEST_OPSET}"
            raise ConfigError(reason) from error
    nodes = list(fixed.graph.node)
    for node in nodes:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
        node.input[:] = ["stored" if name == "image" else name for name in node.input]
    values = {"byte": 255.0, "temperature": package.temperature, "bias": package.bias}
    constants = [numpy_helper.from_array(np.array(value, np.float32), f"qgis/{name}") for name, value in values.items()]
    nodes = [
        helper.make_node("Mul", ["image", "qgis/byte"], ["stored"]),
        *nodes,
        helper.make_node("Div", ["logits", "qgis/temperature"], ["qgis/scaled"]),
        helper.make_node("Add", ["qgis/scaled", "qgis/bias"], ["qgis/calibrated"]),
        helper.make_node("Sigmoid", ["qgis/calibrated"], ["probability"]),
    ]
    graph = pruned_graph(
        nodes,
        helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, len(package.bands), side, side]),
        helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, 1, side, side]),
        [*fixed.graph.initializer, *constants],
    )
    model = helper.make_model(graph, opset_imports=fixed.opset_import, ir_version=IR_VERSION, functions=fixed.functions)
    helper.set_model_props(model, plugin_settings(package, side))
    return model


def plugin_settings(package: ModelPackage, side: int) -> dict[str, str]:
    """Settings of the plugin, as JSON texts by name."""
    bands = len(package.bands)
    settings: dict[str, object] = {
        "model_type": "Segmentor",
        "class_names": {"0": LABEL_NAMES[CROPLAND]},
        "tile_size": side,
        "tiles_overlap": min(math.ceil(200 * _context(package) / side), MOST_OVERLAP),
        "seg_thresh": package.threshold,
        "seg_small_segment": 0,
        "standardization_mean": [0.0] * bands,
        "standardization_std": [1.0] * bands,
    }
    if package.pixel_size_m is not None:
        settings["resolution"] = 100 * package.pixel_size_m  # centimetres
    return {name: json.dumps(value) for name, value in settings.items()} | {"weights_sha256": package.weights_sha256}


def _require_equal(model: ModelProto, network: ModelProto, package: ModelPackage) -> None:
    """Compare the probabilities of both networks for images of 8 and of 16 bits."""
    mine, theirs = Runner(model), Runner(network)
    side = tile_side(package)
    mean, std = (np.array(values)[:, None, None] for values in (package.mean, package.std))
    random = np.random.default_rng(0)
    for kind in (np.uint8, np.uint16):
        drawn = random.normal(mean, std, (1, len(package.bands), side, side))
        image = np.clip(drawn, 0, np.iinfo(kind).max).astype(kind)
        found = mine.outputs((image.astype(np.float64) / 255).astype(np.float32))[0]
        logits = theirs.outputs(image.astype(np.float32))[0] / package.temperature + package.bias
        wanted = 1 / (1 + np.exp(-logits.astype(np.float64)))
        difference = float(np.abs(found - wanted).max())
        if not difference <= TOLERANCE:
            raise ConfigError(f"its probabilities differ by {difference:.2g}, since the plugin divides images by 255")
