"""Description of a network as text and JSON."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from seg.errors import ConfigError
from seg.inspection.sizes import (
    CheckpointSize,
    checkpoint_size,
    first_checkpoint_size,
    weights_size,
)
from seg.inspection.subject import Subject, from_config, from_package
from seg.models.receptive_field import effective_radius, receptive_field_radius
from seg.models.summary import LayerSummary, summarize_layers
from seg.terminal.text import text_table

MEGA = 1e6
TOLERANCE = 1 / 255
"""Tolerance of a probability, the same as in prediction."""

WIDEST_EFFECTIVE = 256
"""Distance in pixels that is examined if the receptive field is unbounded."""

LARGEST = 4096
"""Largest side in pixels of the image. The network is run on this image to fill the layer table."""

COLUMNS = ("layer", "kind", "output", "parameters", "MMAC", "receptive field", "stride")


@dataclass(frozen=True)
class Inspection:
    """Description of a network.

    Attributes:
        subject: The network.
        size: Side in pixels of the image for which operations are counted.
        layers: Layers of the network; the first is the whole network.
        reach: Receptive field on each side in pixels; None if unbounded.
        effective: Distance in pixels beyond which noise changes a probability by less than `TOLERANCE`; None for
            random weights.
        weights_bytes: Size of the weights.
        checkpoint: Sizes of the parts of a training checkpoint.
        checkpoint_source: The checkpoint file; None for a temporary checkpoint after one training step.
    """

    subject: Subject
    size: int
    layers: list[LayerSummary]
    reach: int | None
    effective: int | None
    weights_bytes: int
    checkpoint: CheckpointSize
    checkpoint_source: Path | None


def inspect_network(
    config: Path | None, model: Path | None, checkpoint: Path | None, bands: int, size: int
) -> Inspection:
    """Inspect the network of a training configuration or of a model package.

    Args:
        config: The configuration, or None.
        model: The package's folder, or None.
        checkpoint: A training checkpoint whose parts are measured; None for a temporary checkpoint after one step.
        bands: Channels of the input if the configuration does not list the bands.
        size: Side in pixels of the image for which operations are counted.

    Raises:
        ConfigError: Config and model are both given or both missing, or the network cannot be built.
        PackageError: The package or the checkpoint cannot be read.
    """
    if (config is None) == (model is None):
        raise ConfigError("wanted either --config, a training configuration, or --model, a model package")
    for name, number in (("bands", bands), ("size", size)):
        if number < 1:
            raise ConfigError(f"--{name} is {number}; wanted at least 1")
    if size > LARGEST:
        raise ConfigError(f"--size is {size}; wanted at most {LARGEST}")
    subject = from_package(model) if model else from_config(config or Path(), bands)
    reach = receptive_field_radius(subject.model, subject.bands)
    return Inspection(
        subject=subject,
        size=size,
        layers=summarize_layers(subject.model, subject.bands, size),
        reach=reach,
        weights_bytes=weights_size(subject),
        effective=_effective(subject, reach) if model else None,
        checkpoint=checkpoint_size(checkpoint, subject) if checkpoint else first_checkpoint_size(subject),
        checkpoint_source=checkpoint,
    )


def _effective(subject: Subject, reach: int | None) -> int:
    """Effective radius of the network on noise that has the statistics of the training bands."""
    side = 2 * ((WIDEST_EFFECTIVE if reach is None else reach) + subject.model.stride)
    norm = subject.model.normalization
    noise = torch.randn(subject.bands, side, side, generator=torch.Generator().manual_seed(0))
    return effective_radius(subject.model, [norm.mean[:, None, None] + norm.std[:, None, None] * noise], TOLERANCE)


def as_text(found: Inspection) -> str:
    """Format the computing layers and the totals as text."""
    computing = [layer for layer in found.layers if layer.leaf and layer.macs]
    table = text_table(COLUMNS, [_cells(layer) for layer in computing])
    return "\n".join([_heading(found), "", table, "", *_totals(found)])


def as_json(found: Inspection) -> str:
    """Format every layer, including containers, and the totals as JSON."""
    whole = found.layers[0]
    content = {
        "source": str(found.subject.source),
        "bands": found.subject.bands,
        "size": found.size,
        "config": found.subject.config.arguments(),
        "parameters": whole.parameters,
        "macs": whole.macs,
        "macs_per_pixel": whole.macs / found.size**2,
        "stride": found.subject.model.stride,
        "receptive_field_radius": found.reach,
        "effective_radius": found.effective,
        "weights_bytes": found.weights_bytes,
        "checkpoint": {
            "source": str(found.checkpoint_source) if found.checkpoint_source else None,
            "bytes": asdict(found.checkpoint),
        },
        "layers": [asdict(layer) for layer in found.layers],
    }
    return json.dumps(content, indent=2)


def _heading(found: Inspection) -> str:
    config = found.subject.config
    image = f"{found.subject.bands} bands of {found.size}x{found.size} pixels"
    by_scene = ", each scene normalised by its own statistics" if config.normalisation == "scene" else ""
    return f"{found.subject.source}: architecture {config.architecture}, encoder {config.encoder}, {image}{by_scene}"


def _cells(layer: LayerSummary) -> list[str]:
    return [
        layer.name.removeprefix("network."),
        layer.kind,
        "x".join(str(length) for length in layer.shape[1:]),
        f"{layer.parameters:,}",
        f"{layer.macs / MEGA:,.1f}",
        "-" if not layer.stride else "whole window" if layer.receptive_field is None else f"{layer.receptive_field}",
        f"{layer.stride:g}" if layer.stride else "-",
    ]


def _totals(found: Inspection) -> list[str]:
    whole, sizes = found.layers[0], found.checkpoint
    reach = "unbounded (the whole window)" if found.reach is None else f"{found.reach} pixels on each side"
    averaged = f", {_megabytes(sizes.averaged)} averaged weights" if sizes.averaged else ""
    source = found.checkpoint_source or "after one step, without callbacks"
    beyond = f"{found.effective} pixels; beyond this distance, noise changes a probability by less than {TOLERANCE:.4f}"
    return [
        f"parameters          {whole.parameters:,} (including norms, which the table omits)",
        f"operations          {whole.macs / MEGA:,.1f} MMAC, {whole.macs / found.size**2 / 1e3:,.1f} kMAC per pixel",
        f"receptive field     {reach}; the stride of the network is {found.subject.model.stride} pixels",
        *([f"effective field     {beyond}"] if found.effective is not None else []),
        f"weights alone       {_megabytes(found.weights_bytes)}",
        f"training checkpoint {_megabytes(sizes.total)} ({source}): "
        f"{_megabytes(sizes.weights)} weights, {_megabytes(sizes.optimizer)} optimiser state{averaged}, "
        f"{_megabytes(sizes.rest)} loop state and names",
        "",
        "The checkpoint is larger because resuming needs more than the weights: AdamW's two running means of each",
        "weight, averaged weights, and the state of loops, callbacks and schedule. Prediction needs only the weights.",
    ]


def _megabytes(size: int) -> str:
    return f"{size / MEGA:.2f} MB"
