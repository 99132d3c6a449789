"""Map a scene with a trained model: `python scripts/predict.py --model models/x --input scene.tif --output map.tif`."""

import sys
from pathlib import Path

from seg.console import run_command
from seg.inference.settings import PredictionSettings


def predict(
    *,
    model: Path,
    input: Path,
    output: Path,
    settings: PredictionSettings,
    device: str = "auto",
    threads: int = 0,
) -> None:
    """Write the class map and the probability map of a scene, on exactly its grid.

    Args:
        model: Folder of a model package.
        input: The scene, any raster that GDAL reads.
        output: The class map, a GeoTIFF; the probability map gets `_probability` added to its name.
        settings: How the scene is predicted.
        device: What computes: auto, cpu, cuda or mps.
        threads: Threads that compute; 0 leaves it to the library: all cores, or what OMP_NUM_THREADS says.
    """
    from seg.inference.run import load_predictor, predict_with_progress

    predictor = load_predictor(model, settings, device, threads)
    predict_with_progress(input, output, predictor, settings)


if __name__ == "__main__":
    sys.exit(run_command(predict))
