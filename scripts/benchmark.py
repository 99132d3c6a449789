"""Measure what convolutions and models cost: `python scripts/benchmark.py convolutions`, or `models`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from seg.benchmark.settings import ConvolutionSettings, ModelSettings
from seg.console import run_command


def convolutions(*, settings: ConvolutionSettings, output: Path | None = None) -> None:
    """Compare kinds of convolutions at equal shapes: operations, bytes, time, and what the machine could do.

    Args:
        settings: At which shape.
        output: JSON file for the figures; null for the text alone.
    """
    from seg.benchmark.convolution_report import benchmark_convolutions

    benchmark_convolutions(settings, output)


def models(*, settings: ModelSettings, output: Path | None = None) -> None:
    """Compare the models of the family: operations, bytes, megapixels a second, and how far each sees.

    Args:
        settings: On which image.
        output: JSON file for the figures; null for the text alone.
    """
    from seg.benchmark.model_report import benchmark_models

    benchmark_models(settings, output)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of the command line; `arguments` are its words, by default those of the process."""
    return run_command(
        {"convolutions": convolutions, "models": models}, arguments, "Measure what convolutions and models cost."
    )


if __name__ == "__main__":
    sys.exit(main())
