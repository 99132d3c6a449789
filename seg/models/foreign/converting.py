"""Convert a network of another program to the interface of this project, and compare it with the original."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from onnx import ModelProto

from seg.errors import ConfigError, PackageError, listed
from seg.models.foreign.measuring import Measured, measure
from seg.models.foreign.reading import ForeignNetwork, read_network
from seg.models.foreign.rewriting import detected_kind, free_sizes, with_standard_interface
from seg.models.foreign.running import Floats, Runner, noise
from seg.models.foreign.statements import ClassScores, Scores, Wanted, reference_probability, sigmoid

SIDES = (256, 224, 288, 320, 384, 512)
"""Sides in pixels of the test images that are tried in this order if the network takes images of any size."""

TOLERANCE = 1e-5
"""Largest accepted difference between the probabilities of the converted network and of the original."""


@dataclass(frozen=True)
class Converted:
    """A network with the standard interface: input "image" in stored units, output "logits" of cropland.

    Attributes:
        model: The network.
        scores: Output, classes and kind of the original's scores.
        measured: Stride, receptive field and size of the feature maps.
    """

    model: ModelProto
    scores: ClassScores
    measured: Measured


def convert(path: Path, wanted: Wanted) -> Converted:
    """Read, convert, compare and measure a network.

    Args:
        path: The ONNX file.
        wanted: Statements about the network.

    Raises:
        PackageError: The file is damaged, unsafe, or its network cannot be used.
        ConfigError: A statement about the network is missing or contradicts the network.
    """
    network = read_network(path, len(wanted.mean))
    try:
        freed = free_sizes(network.model, network.image.name)
        tried = _tried(network, wanted)
        scores = _class_scores(network, tried, wanted)
        model = with_standard_interface(freed, wanted.mean, wanted.std, scores)
        _require_equal(model, tried, scores)
        measured = measure(model, wanted.mean, wanted.std, wanted.stride)
    except ConfigError as error:
        raise PackageError(f"{path}: {error}") from error
    return Converted(model, scores, measured)


class _Tried(NamedTuple):
    """Outputs of the original, by name, for a random image (1, C, H, W) in stored units."""

    image: Floats
    outputs: dict[str, Floats]


def _tried(network: ForeignNetwork, wanted: Wanted) -> _Tried:
    runner = Runner(network.model)
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (wanted.mean, wanted.std))
    refusal = ConfigError("computes no image")
    for size in [network.fixed_size] if network.fixed_size else [(side, side) for side in SIDES]:
        image = mean + std * noise(len(mean), *size)
        normalised = (image - mean) / std
        try:
            first, again = runner.outputs(normalised), runner.outputs(normalised)
        except ConfigError as error:
            refusal = error
            continue
        if not all(np.array_equal(*pair, equal_nan=True) for pair in zip(first, again, strict=True)):
            raise ConfigError("gives different results for the same image; export it in evaluation mode")
        names = [output.name for output in runner.session.get_outputs()]
        return _Tried(image, dict(zip(names, first, strict=True)))
    raise refusal


def _class_scores(network: ForeignNetwork, tried: _Tried, wanted: Wanted) -> ClassScores:
    outputs, (height, width) = tried.outputs, tried.image.shape[2:]
    shapes = {name: outputs[name].shape for name in network.scores}
    fitting = [name for name, shape in shapes.items() if len(shape) == 4 and shape[2:] == (height, width)]
    if wanted.output is not None:
        if wanted.output not in fitting:
            raise ConfigError(
                f"--scores-output is {wanted.output}; wanted one of the outputs with a score for each pixel: "
                f"{listed(fitting) or 'none'}"
            )
        fitting = [wanted.output]
    if not fitting:
        given = listed([f"{name} {shape}" for name, shape in shapes.items()])
        raise ConfigError(
            f"gives {given} for {height} x {width} pixels; wanted scores (1, classes, {height}, {width}); export it "
            "with its scores resized to the image"
        )
    if len(fitting) > 1:
        raise ConfigError(f"has several outputs ({listed(fitting)}); choose one with --scores-output")
    found = outputs[fitting[0]]
    if not np.isfinite(found).all() or float(found.std()) < 1e-6:
        raise ConfigError("gives NaN or one constant value for a random image; check its weights")
    kind = _kind(network, fitting[0], found, wanted.kind)
    return ClassScores(fitting[0], found.shape[1], _cropland(found.shape[1], wanted.cropland, kind), kind)


def _kind(network: ForeignNetwork, output: str, found: Floats, wanted: Scores) -> Scores:
    detected = detected_kind(network.model, output)
    if detected == "auto":
        within = float(found.min()) >= 0 and float(found.max()) <= 1
        sums_to_one = found.shape[1] > 1 and bool(np.abs(found.sum(axis=1) - 1).max() < 1e-3)
        detected = "logits" if not within else "softmax" if sums_to_one else "auto"
    if wanted == "auto" and detected == "auto":
        raise ConfigError(
            "gives scores from 0 to 1, which may be probabilities or logits; state their kind with --scores=sigmoid "
            "or --scores=logits"
        )
    if "auto" not in {wanted, detected} and wanted != detected:
        raise ConfigError(f"--scores is {wanted}, but the network gives {detected}; leave --scores out")
    return detected if wanted == "auto" else wanted


def _cropland(count: int, wanted: Sequence[int], kind: Scores) -> tuple[int, ...]:
    numbers = tuple(sorted(set(wanted)))
    if count == 1 and kind == "softmax":
        raise ConfigError("has one class with softmax, so its score is always 1; export its logits")
    if count == 1 and set(numbers) <= {0}:
        return (0,)
    if not numbers or numbers[0] < 0 or numbers[-1] >= count or len(numbers) == count:
        named = ",".join(map(str, numbers)) or "not given"
        one = "0, or no --class, since the network has one class"
        which = f"one or several of 0 to {count - 1}, the numbers of the cropland classes" if count > 1 else one
        raise ConfigError(f"--class is {named}; wanted {which}")
    if kind == "sigmoid" and len(numbers) > 1:
        raise ConfigError("has classes that do not exclude each other; name one of them with --class")
    return numbers


def _require_equal(model: ModelProto, tried: _Tried, scores: ClassScores) -> None:
    """Compare the converted network with the original's scores for the same image."""
    logits = Runner(model).outputs(tried.image)[0]
    wanted = reference_probability(tried.outputs[scores.output], scores)
    if logits.shape != (1, *wanted.shape):
        raise ConfigError("gives logits of another size after the conversion; export it for images of any size")
    difference = float(np.abs(sigmoid(logits[0]) - wanted).max())
    if not difference <= TOLERANCE:
        raise ConfigError(
            f"gives other probabilities after the conversion (by {difference:.2g}); export it for images of any size"
        )
