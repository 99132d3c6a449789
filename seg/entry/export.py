"""Turn a checkpoint into a model package: the command `export`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from seg.terminal.command_line import run_command


def export(
    checkpoint: Path,
    output: Path,
    threshold: float | Literal["f1", "area"] | None = None,
    onnx: bool = False,
    weights: Literal["auto", "averaged", "raw"] = "auto",
) -> None:
    """Turn a checkpoint into a model package, all that inference needs.

    Args:
        checkpoint: A checkpoint written by training.
        output: Folder of the package, made with its parents; an older package there is replaced.
        threshold: Calibrated probability from 0 to 1, as in the probability map, above which a pixel is cropland; f1 or
            area for the threshold with the highest F1 or the right area in validation; by default training's threshold.
        onnx: Also write the network as ONNX, for use without PyTorch.
        weights: Weights to export if training averaged them: averaged, or raw for the weights of the last step, which
            were not validated; auto uses averaged weights if there are any.
    """
    from seg.package.checkpoint import read_checkpoint
    from seg.package.write import add_onnx, write_package

    package = write_package(read_checkpoint(checkpoint, weights), output, threshold)
    print(f"{output}: model package with {len(package.mean)} bands, {package.decision}")
    if onnx:
        print(f"{add_onnx(output)}: the network as ONNX, checked against PyTorch")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command line.

    Args:
        arguments: Its words; those of the process by default.
    """
    return run_command(export, arguments)
