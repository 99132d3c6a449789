"""Whether a scene was mapped by an earlier run that was the same."""

import shutil
from contextlib import suppress
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from seg.errors import RasterError
from seg.inference.identity import RUN_TAG, completed, dependencies, is_of_run, run_checksum
from seg.inference.inputs import Job
from seg.inference.layers import MapLayers
from seg.inference.predictor import Predictor
from seg.inference.settings import PredictionSettings
from seg.raster.claim import claimed
from seg.raster.grid import read_grid
from seg.raster.store import has_blocks, partial_folder, stored_run


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


def discard_leftovers(job: Job, predictor: Predictor, settings: PredictionSettings) -> None:
    """Remove the blocks that a run of finished maps left, as where it was killed when it had just written them.

    Those of a run with other settings stay, and what another process is at.
    """
    folder = partial_folder(job.output)
    if not folder.is_dir():
        return
    with suppress(RasterError), claimed(folder):
        now = dependencies(read_grid(job.scene), predictor, completed(settings, predictor))
        if not has_blocks(folder) or is_of_run(stored_run(folder), now):
            shutil.rmtree(folder)


def _run_of(path: Path) -> str | None:
    try:
        with rasterio.open(path) as dataset:
            run: str | None = dataset.tags().get(RUN_TAG)
            return run
    except RasterioError:  # whatever it is, no map of ours
        return None
