"""Map a scene with a trained model: `python scripts/predict.py --model models/x --input scene.tif --output map.tif`."""

import sys
from pathlib import Path

from seg.console import run_command
from seg.inference.compute import ComputeSettings, Library, Precision
from seg.inference.settings import PredictionSettings


def predict(
    *,
    model: Path,
    input: Path,
    output: Path,
    settings: PredictionSettings,
    backend: Library = "auto",
    device: str = "auto",
    threads: int = 0,
    precision: Precision = "auto",
    compile: bool = False,
) -> None:
    """Write the class map and the probability map of a scene, on exactly its grid.

    Args:
        model: Folder of a model package.
        input: The scene, any raster that GDAL reads.
        output: The class map, a GeoTIFF; the probability map gets `_probability` added to its name.
        settings: How the scene is predicted.
        backend: Library that computes: onnx (ONNX Runtime, on the CPU) or torch; auto is torch where there is a GPU,
            and onnx elsewhere. For onnx the network is written beside the model once, as model.onnx.
        device: What computes: auto, cpu, cuda or mps.
        threads: Threads that compute; 0 for all cores, or what OMP_NUM_THREADS says.
        precision: Bits of the numbers computed with: 32, or on CUDA bf16 or 16; auto is 16 on CUDA, 32 elsewhere.
        compile: Let PyTorch compile the network first; for many or large scenes.
    """
    from seg.inference.run import load_predictor, predict_with_progress

    compute = ComputeSettings(backend=backend, device=device, threads=threads, precision=precision, compile=compile)
    predictor = load_predictor(model, settings, compute)
    predict_with_progress(input, output, predictor, settings)


if __name__ == "__main__":
    sys.exit(run_command(predict))
