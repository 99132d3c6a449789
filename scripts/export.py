"""Write the model package of a checkpoint: weights, description, and nothing that executes."""

import sys
from pathlib import Path

from seg.console import run_command


def export(checkpoint: Path, output: Path, threshold: float | None = None, onnx: bool = False) -> None:
    """Write a model package.

    Args:
        checkpoint: A checkpoint that training wrote.
        output: Folder of the package; made with its parents; a package that lies there is replaced.
        threshold: Probability above which a pixel is cropland, 0 to 1; that of training by default.
        onnx: Write the network as ONNX too, for deployment without PyTorch.
    """
    from seg.checkpoint import read_checkpoint
    from seg.package import add_onnx, write_package

    package = write_package(read_checkpoint(checkpoint), output, threshold)
    print(f"{output}: model package with {len(package.mean)} bands, threshold {package.threshold}")
    if onnx:
        print(f"{add_onnx(output)}: the same network as ONNX, compared with it")


if __name__ == "__main__":
    sys.exit(run_command(export))
