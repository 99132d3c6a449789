"""Map scenes with a trained model: the command `predict`."""

from collections.abc import Sequence
from pathlib import Path

from seg.inference.settings import ComputeSettings, Library, Precision, PredictionSettings
from seg.terminal.command_line import run_command


def predict(
    *,
    model: list[Path] | Path,
    input: list[Path] | Path,
    output: Path,
    settings: PredictionSettings,
    backend: Library = "auto",
    device: str = "auto",
    threads: int = 0,
    precision: Precision = "auto",
    compile: bool = False,
) -> None:
    """Write the class map and the probability map of one scene or of many, each on exactly the scene's grid.

    Args:
        model: Folder of a model package; of several, the probabilities are averaged.
        input: The scene: any raster that GDAL reads, or an address such as https://host/scene.tif or s3://bucket/key.
            Or many: a folder, a pattern such as 'scenes/*.tif', or a text file with a path or an address on each line.
        output: The class map, a GeoTIFF; the probability map gets `_probability` added to its name. A folder for many
            scenes, where each map gets the name of its scene.
        settings: How the scene is predicted.
        backend: Library that computes: onnx (ONNX Runtime, on the CPU) or torch; auto is torch where there is a GPU,
            and onnx elsewhere. For onnx the network is written beside the model once, as model.onnx.
        device: What computes: auto, cpu, cuda (cuda:1 for the second one) or mps.
        threads: Threads that compute; 0 for all cores, or what OMP_NUM_THREADS says.
        precision: Bits of the numbers computed with: 32, or on CUDA bf16 or 16; auto is 16 on CUDA, 32 elsewhere.
        compile: Let PyTorch compile the network first; for many or large scenes.
    """
    from seg.inference.command import predict as predict_inputs

    compute = ComputeSettings(backend=backend, device=device, threads=threads, precision=precision, compile=compile)
    models, inputs = ([names] if isinstance(names, Path) else names for names in (model, input))
    predict_inputs(models, inputs, output, settings, compute)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command line.

    Args:
        arguments: Its words; those of the process by default.
    """
    return run_command(predict, arguments)
