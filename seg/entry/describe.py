"""Show a network layer by layer: the command `describe`."""

from collections.abc import Sequence
from pathlib import Path

from seg.terminal.command_line import run_command


def describe(
    *,
    config: Path | None = None,
    model: Path | None = None,
    checkpoint: Path | None = None,
    bands: int = 4,
    size: int = 512,
    json: bool = False,
) -> None:
    """Describe a network layer by layer, its totals, and the file sizes of its weights and of a training checkpoint.

    Args:
        config: A training configuration; its network is built with random weights.
        model: A model package, instead of a configuration.
        checkpoint: A training checkpoint whose parts are measured; by default a temporary one after a first step.
        bands: Channels of the images if the configuration does not list data.bands.
        size: Side in pixels of the image for which shapes and operations are counted.
        json: Print JSON with every layer, instead of text with the computing layers only.
    """
    from seg.inspection.report import as_json, as_text, inspect_network

    found = inspect_network(config, model, checkpoint, bands, size)
    print(as_json(found) if json else as_text(found))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command line.

    Args:
        arguments: Its words; those of the process by default.
    """
    return run_command(describe, arguments)
