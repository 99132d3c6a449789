"""The command `benchmark`: time, memory and operations of the parts of the pipeline."""

from collections.abc import Sequence
from pathlib import Path

from seg.benchmark.screening.settings import ScreeningSettings
from seg.benchmark.settings import (
    ClusterBenchmarkSettings,
    CompositeBenchmarkSettings,
    ConvolutionSettings,
    DistanceSettings,
    InferenceSettings,
    LabelsSettings,
    LoadingSettings,
    ModelSettings,
    PolygonBenchmarkSettings,
    TrainingSettings,
)
from seg.raster.gdal_options import gdal_options
from seg.terminal.command_line import run_command


def convolutions(*, settings: ConvolutionSettings, output: Path | None = None) -> None:
    """Compare kinds of convolutions at equal shapes: operations, bytes, time, and the limits of the machine.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; null for text only.
    """
    from seg.benchmark.convolutions.report import benchmark_convolutions

    benchmark_convolutions(settings, output)


def models(*, settings: ModelSettings, output: Path | None = None) -> None:
    """Compare this project's models: operations, bytes, megapixels per second, and receptive field.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; null for text only.
    """
    from seg.benchmark.models import benchmark_models

    benchmark_models(settings, output)


def loading(*, settings: LoadingSettings, output: Path | None = None) -> None:
    """Compare the chip loader with plain loops over the same windows, and measure its memory.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; null for text only.
    """
    from seg.benchmark.loading import benchmark_loading

    benchmark_loading(settings, output)


def training(*, settings: TrainingSettings, output: Path | None = None) -> None:
    """Compare training with Lightning and a plain loop over the same loader, network and loss.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; null for text only.
    """
    from seg.benchmark.training import benchmark_training

    benchmark_training(settings, output)


def inference(*, settings: InferenceSettings, output: Path | None = None) -> None:
    """Compare prediction with its forward pass alone, with plain reading and writing, and with other libraries.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; null for text only.
    """
    from seg.benchmark.inference.compare import benchmark_inference

    benchmark_inference(settings, output)


def screening(*, settings: ScreeningSettings, output: Path | None = None) -> None:
    """Train a screener, and map mosaics with and without screening: time, cropland lost, and risk over random splits.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; null for text only.
    """
    from seg.benchmark.screening.compare import benchmark_screening

    benchmark_screening(settings, output)


def polygons(*, settings: PolygonBenchmarkSettings, output: Path | None = None) -> None:
    """Compare time and memory of two ways of tracing parcels: block by block, and from the whole map in memory.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; null for text only.
    """
    from seg.benchmark.polygons import benchmark_polygons

    benchmark_polygons(settings, output)


def composite(*, settings: CompositeBenchmarkSettings, output: Path | None = None) -> None:
    """Compare a median composite of synthetic dates with plain reading and writing: time and memory.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; null for text only.
    """
    from seg.benchmark.composite import benchmark_composite

    benchmark_composite(settings, output)


def labels(*, settings: LabelsSettings, output: Path) -> None:
    """Compare training on labels alone with training on labels and unlabelled scenes, at several shares of labels.

    To continue an interrupted benchmark, repeat the command. A later call can add shares and seeds.

    Args:
        settings: Options of the benchmark.
        output: Folder for the trainings, labels.json and the picture labels.png.
    """
    from seg.benchmark.labels import benchmark_labels

    benchmark_labels(settings, output)


def cluster(*, settings: ClusterBenchmarkSettings, output: Path | None = None) -> None:
    """Compare predictions in one process and on local workers, and measure the load of a cluster's scheduler.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; null for text only.
    """
    from seg.benchmark.cluster import benchmark_cluster

    benchmark_cluster(settings, output)


def distance(*, settings: DistanceSettings, output: Path | None = None) -> None:
    """Compare the distance of changed images from the training images with the loss of IoU that the changes cause.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; null for text only.
    """
    from seg.benchmark.distance import benchmark_distance

    benchmark_distance(settings, output)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: Command-line arguments; sys.argv[1:] by default.
    """
    return run_command(
        {
            "convolutions": convolutions,
            "models": models,
            "loading": loading,
            "training": training,
            "inference": inference,
            "screening": screening,
            "polygons": polygons,
            "composite": composite,
            "labels": labels,
            "cluster": cluster,
            "distance": distance,
        },
        arguments,
        "Measure time, memory and operations of the parts of the pipeline.",
        gdal_options,
    )
