"""Map scenes with a trained model: the command `predict`."""

from collections.abc import Sequence
from pathlib import Path

from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.terminal.command_line import run_command


def predict(
    *,
    model: list[Path] | Path,
    input: list[Path] | Path,
    output: Path,
    settings: PredictionSettings,
    compute: ComputeSettings,
) -> None:
    """Write the class map and the probability map of one scene or many, each on the grid of its scene.

    Args:
        model: Folder of a model package; the probabilities of several models are averaged.
        input: One scene: any raster that GDAL reads, or an address such as https://host/scene.tif or s3://bucket/key.
            Or many scenes: a folder, a pattern such as 'scenes/*.tif', or a text file with a path or address a line.
        output: The class map, a GeoTIFF; the probability map gets `_probability` added to its name. For many scenes, a
            folder where each map gets the name of its scene.
        settings: Options of the prediction.
        compute: Library, device and precision.
    """
    from seg.inference.command import predict as predict_inputs

    models, inputs = ([names] if isinstance(names, Path) else names for names in (model, input))
    predict_inputs(models, inputs, output, settings, compute)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command line.

    Args:
        arguments: Its words; those of the process by default.
    """
    return run_command(predict, arguments)
