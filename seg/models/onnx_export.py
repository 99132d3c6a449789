"""Export of networks to ONNX files for ONNX Runtime."""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn

from seg.errors import ConfigError
from seg.models.segmenter import Segmenter

OPSET = 18
INPUT, OUTPUT, BOUNDARY, FEATURES = "image", "logits", "boundary", "features"
TOLERANCE = 1e-4
"""Largest accepted difference between the probabilities of ONNX Runtime and PyTorch."""


class Outputs(nn.Module):
    """Wrapper that returns the logits of each head and the deepest features of a network.

    Args:
        model: The network.
    """

    def __init__(self, model: Segmenter) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Map (B, C, H, W) in stored units to logits of each head and, if the network has them, features."""
        if not self.model.has_features:
            return tuple(logits for logits in self.model.heads(image) if logits is not None)
        heads, features = self.model.heads_and_features(image)
        return *(logits for logits in heads if logits is not None), features


def export_onnx(model: Segmenter, bands: int, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network as an ONNX file that accepts images of any height and width.

    The input "image" is (1, bands, H, W) float32 in stored units. The output "logits" holds the logits of cropland, (1,
    1, H, W). If the network has a boundary head, the output "boundary" holds its logits, (1, 1, H, W). If the network
    has an encoder, the output "features" holds its deepest features, (1, F, H / stride, W / stride), where the sizes
    are rounded up.

    Args:
        model: The network; exported in evaluation mode.
        bands: Channels of the input.
        path: The file to write.
        metadata: Key-value pairs stored in the file.

    Raises:
        ConfigError: The network cannot be exported, or the exported file computes different values. For example, if a
            network pools to a fixed number of cells, the exported file is right only for the size of the example image.
            In all these cases, no file is written.
        OSError: The file cannot be written.
    """
    training = model.training
    model.eval()
    try:
        program = _program(model, bands)
        program.model.metadata_props.update(metadata or {})
        program.save(path)
        _check(path, model, bands)
    except ConfigError:
        path.unlink(missing_ok=True)
        raise
    finally:
        model.train(training)


def _program(model: Segmenter, bands: int) -> torch.onnx.ONNXProgram:
    # The sizes are unusual, so that the exporter does not confuse them with constants of the network.
    side = 2 * model.stride + 3
    example = torch.zeros(1, bands, side, side + model.stride)
    dynamic = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)  # The exporter logs internals; it raises errors as exceptions.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                Outputs(model).eval(),
                (example,),
                input_names=[INPUT],
                output_names=_output_names(model, len(_wanted(model, example))),
                opset_version=OPSET,
                dynamic_shapes=(dynamic,),
                dynamo=True,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, RuntimeError) as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise ConfigError(f"this network cannot be exported to ONNX for images of any size ({reason})") from error
    finally:
        logging.disable(level)
    if program is None:
        raise ConfigError("this network cannot be exported to ONNX")
    return program


def _output_names(model: Segmenter, count: int) -> list[str]:
    if not model.has_features:
        return [OUTPUT, BOUNDARY][:count]
    return [*[OUTPUT, BOUNDARY][: count - 1], FEATURES]


@torch.inference_mode()
def _check(path: Path, model: Segmenter, bands: int) -> None:
    """Compare the outputs of file and network for images that differ in size from the example image."""
    random = torch.Generator().manual_seed(0)
    mean, std = (values[:, None, None].cpu() for values in (model.normalization.mean, model.normalization.std))
    for height, width in ((1, 2), (3 * model.stride + 1, 5 * model.stride + 2)):
        image = mean + std * torch.randn(1, bands, height, width, generator=random)
        for found, wanted in zip(_computed(path, image), _wanted(model, image), strict=True):
            if found.shape != wanted.shape or float((found.sigmoid() - wanted.sigmoid()).abs().max()) > TOLERANCE:
                raise ConfigError("this network computes different values as ONNX; use it with PyTorch only")


@torch.inference_mode()
def _wanted(model: Segmenter, image: Tensor) -> tuple[Tensor, ...]:
    outputs: tuple[Tensor, ...] = Outputs(model)(image)
    return outputs


def _computed(path: Path, image: Tensor) -> list[Tensor]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # Errors are raised as exceptions anyway, so a log would repeat them.
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return [torch.from_numpy(output) for output in session.run(None, {INPUT: image.numpy()})]
    except Exception as error:  # The errors of ONNX Runtime have no common base class.
        raise ConfigError("as ONNX, this network works only for some image sizes; use it with PyTorch only") from error
