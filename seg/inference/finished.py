"""Whether a scene was mapped by an earlier run that was the same."""

from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from seg.inference.identity import RUN_TAG, completed, run_checksum
from seg.inference.inputs import Job
from seg.inference.layers import MapLayers
from seg.inference.predictor import Predictor
from seg.inference.settings import PredictionSettings
from seg.raster.grid import read_grid


def is_finished(job: Job, predictor: Predictor, settings: PredictionSettings) -> bool:
    """Whether all maps of a scene are there, made from it by these models with these settings.

    Raises:
        SegError: There are maps, and the scene or the area that they are to be compared with cannot be read, or does
            not fit the models.
    """
    paths = MapLayers(0, predictor.uncertainty).paths(job.output)
    if not all(path.is_file() for path in paths):
        return False
    wanted = run_checksum(read_grid(job.scene), predictor, completed(settings, predictor))
    return all(_run_of(path) == wanted for path in paths)


def _run_of(path: Path) -> str | None:
    try:
        with rasterio.open(path) as dataset:
            run: str | None = dataset.tags().get(RUN_TAG)
            return run
    except RasterioError:  # whatever it is, no map of ours
        return None
