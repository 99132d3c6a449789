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
    """Write a model package.

    Args:
        checkpoint: A checkpoint that training wrote.
        output: Folder of the package; made with its parents; a package that lies there is replaced.
        threshold: Calibrated probability above which a pixel is cropland, 0 to 1, as the probability map has it; or f1
            or area for the one with the highest F1 or the right area in the validation; that of training by default.
        onnx: Write the network as ONNX too, for deployment without PyTorch.
        weights: Which weights of a training that averaged them: averaged, or raw for those of its last step, which were
            not validated; auto takes the averaged ones where there are any.
    """
    from seg.package.checkpoint import read_checkpoint
    from seg.package.write import add_onnx, write_package

    package = write_package(read_checkpoint(checkpoint, weights), output, threshold)
    print(f"{output}: model package with {len(package.mean)} bands, {package.decision}")
    if onnx:
        print(f"{add_onnx(output)}: the same network as ONNX, compared with it")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command line.

    Args:
        arguments: Its words; those of the process by default.
    """
    return run_command(export, arguments)
