"""Map a scene with a trained model: `python scripts/predict.py --model models/x --input scene.tif --output map.tif`."""

import sys
from pathlib import Path

from seg.console import run_command
from seg.inference.plan import PredictionSettings
from seg.inference.run import load_predictor, predict_with_progress


def predict(
    *,
    model: Path,
    input: Path,
    output: Path,
    settings: PredictionSettings,
    device: str = "auto",
    threads: int = 0,
    restart: bool = False,
) -> None:
    """Write the class map and the probability map of a scene, on exactly its grid.

    Args:
        model: Folder of a model package.
        input: The scene, any raster that GDAL reads.
        output: The class map, a GeoTIFF; the probability map gets `_probability` added to its name.
        settings: How the scene is predicted.
        device: What computes: auto, cpu, cuda or mps.
        threads: Threads that compute; 0 for as many as there are cores.
        restart: Discard the finished blocks of an unfinished run instead of going on with them.
    """
    predictor = load_predictor(model, settings, device, threads)
    predict_with_progress(input, output, predictor, settings, restart)


if __name__ == "__main__":
    sys.exit(run_command(predict))
