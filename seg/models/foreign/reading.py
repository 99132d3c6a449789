"""Read an ONNX file of another program without executing code from it, and find its input and its class scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import onnx
import onnx.inliner
from onnx import ModelProto, TensorProto, ValueInfoProto

from seg.errors import PackageError, listed

LARGEST_BYTES = 2_000_000_000
"""Largest size of a network with its external weights; a single ONNX file holds at most 2 GiB."""

OTHER_FORMATS = {
    b"PK": "a TorchScript or PyTorch file, which can execute code",
    b"\x80": "a pickle, which can execute code",
    b"\x89HDF": "an HDF5 file",
}
"""Formats by the first bytes of a file."""

STANDARD = ("", "ai.onnx")
"""Names of the domain whose operators every ONNX library has."""

CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}
"""Operators with subgraphs. A network for images of any size needs none, and the work of a loop has no bound."""

FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
"""Types of images and scores."""


@dataclass(frozen=True)
class ForeignNetwork:
    """A network of another program.

    Attributes:
        path: The file.
        model: Content of the file with all weights; its functions are replaced by their operators.
        image: Input of the image, (1, C, H, W).
        scores: Names of the outputs that hold floats; one of them is (1, K, H, W), the scores of K classes.
    """

    path: Path
    model: ModelProto
    image: ValueInfoProto
    scores: tuple[str, ...]

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """Height and width of the image if both are fixed."""
        height, width = (dim.dim_value for dim in self.image.type.tensor_type.shape.dim[2:])
        return (height, width) if height > 0 and width > 0 else None


def read_network(path: Path, bands: int) -> ForeignNetwork:
    """Read an ONNX file.

    External weights are read from plain files in the folder of the ONNX file, and from nowhere else.

    Args:
        path: The file.
        bands: Number of bands that the network should take.

    Raises:
        PackageError: The file is missing, damaged or in another format; it has control flow, or operators that are not
            part of ONNX; or its input is not one image with this number of bands.
    """
    model = _loaded(path)
    _require_plain_operators(path, model)
    given = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in given]
    if len(inputs) != 1:
        names = listed([value.name for value in inputs])
        raise PackageError(f"{path}: has the inputs {names}; wanted one image; export the network without others")
    _require_image(path, inputs[0], bands)
    scores = tuple(value.name for value in model.graph.output if value.type.tensor_type.elem_type in FLOATS)
    if not scores:
        raise PackageError(
            f"{path}: gives class numbers, not scores, so it has no probability; export it without the final argmax"
        )
    return ForeignNetwork(path, model, inputs[0], scores)


def _loaded(path: Path) -> ModelProto:
    if not path.is_file():
        raise PackageError(f"{path}: no such file; wanted an ONNX file")
    with path.open("rb") as file:
        start = file.read(4)
    for magic, name in OTHER_FORMATS.items():
        if start.startswith(magic):
            raise PackageError(f"{path}: is {name}; wanted an ONNX file, as torch.onnx.export writes it")
    _require_size(path, path.stat().st_size)
    try:
        model = onnx.load(path, load_external_data=False)
        _load_external(path, model)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        onnx.checker.check_model(model)
    except PackageError:
        raise
    except Exception as error:  # The errors of protobuf and of the checker have no common base class.
        reason = " ".join(str(error).split())[:150]
        raise PackageError(f"{path}: damaged, or not an ONNX file ({reason}); export the network again") from error
    return model


def _load_external(path: Path, model: ModelProto) -> None:
    """Load weights from files beside the ONNX file.

    Raises:
        PackageError: A file of weights is missing, too large, or lies outside the folder.
    """
    external = [tensor for tensor in _tensors(model) if tensor.data_location == TensorProto.EXTERNAL]
    names = {entry.value for tensor in external for entry in tensor.external_data if entry.key == "location"}
    total = path.stat().st_size
    for name in sorted(names):
        place = PurePosixPath(name.replace("\\", "/"))
        file = path.parent / place
        if place.is_absolute() or ".." in place.parts or ":" in name or file.is_symlink():
            raise PackageError(
                f"{path}: names {name} as the file of its weights; wanted a plain file in the same folder; save the "
                "network with its weights inside"
            )
        if not file.is_file():
            raise PackageError(f"{path}: its weights are in {name}, which is missing; copy this file to the folder too")
        total += file.stat().st_size
    _require_size(path, total)
    if external:
        onnx.load_external_data_for_model(model, str(path.parent))


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _require_size(path: Path, size: int) -> None:
    if size > LARGEST_BYTES:
        raise PackageError(f"{path}: has {size / 1e9:.1f} GB with its weights; wanted at most 2 GB")


def _require_plain_operators(path: Path, model: ModelProto) -> None:
    """Reject operators of other domains, which would need the code of other libraries, and control flow."""
    other = sorted({f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in STANDARD})
    if other:
        raise PackageError(
            f"{path}: has operators that are not part of ONNX ({listed(other)}); export it without optimisations of "
            "another library, and with standard layers"
        )
    control = sorted({node.op_type for node in model.graph.node} & CONTROL_FLOW)
    if control:
        raise PackageError(
            f"{path}: has control flow ({listed(control)}), which is not accepted; export a network without branches "
            "and loops"
        )


def _require_image(path: Path, image: ValueInfoProto, bands: int) -> None:
    """Check that an input is one image (1, C, H, W) of floats with the wanted number of channels."""
    kind = image.type.tensor_type
    shape = [dim.dim_value or dim.dim_param or "?" for dim in kind.shape.dim]
    shown = f"{TensorProto.DataType.Name(kind.elem_type).lower()} ({', '.join(map(str, shape))})"
    if kind.elem_type not in FLOATS or len(shape) != 4 or (isinstance(shape[0], int) and shape[0] != 1):
        raise PackageError(
            f"{path}: takes {shown}; wanted one image of floats, (1, channels, height, width); export it this way"
        )
    if shape[1] != bands:
        raise PackageError(
            f"{path}: takes {shown}, and --bands names {bands} bands; wanted (1, {bands}, height, width); name one "
            "band for each channel, or export the network with channels first and a fixed number of channels"
        )
