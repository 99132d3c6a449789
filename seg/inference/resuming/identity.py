"""What a map depends on: kept with the finished blocks of a run, and told by the tags of its maps."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from seg import __version__
from seg.errors import RasterError
from seg.files import short_hash
from seg.inference.area_of_interest import area_on
from seg.inference.blocks.layers import MapLayers
from seg.inference.compute.member import common_nodata, decision_threshold
from seg.inference.compute.predictor import Predictor
from seg.inference.inputs import Job
from seg.inference.planning.plan import Plan, common_bands
from seg.inference.settings import PredictionSettings
from seg.raster.grid import Grid, read_grid
from seg.raster.remote import address_of, is_remote
from seg.raster.scene_version import scene_version
from seg.raster.writing.block_store import (
    claimed_blocks,
    discard_blocks,
    has_blocks,
    partial_folder,
    stored_run,
)

MEASURED = ("auto", "measure")
"""Halos that depend on the scene's pixels, so that they are kept when a run goes on."""

RUN_TAG = "SEG_RUN"
"""The tag of a map that tells the run which made it from all others."""

_SHOWN = (
    "model",
    "bands",
    "temperature",
    "bias",
    "backend",
    "threshold",
    "interior",
    "block_size",
    "halo",
    "tta",
    "version",
)


def completed(settings: PredictionSettings, predictor: Predictor) -> PredictionSettings:
    """The settings with the models' own values where none was asked for."""
    threshold = decision_threshold(predictor.packages) if settings.threshold is None else settings.threshold
    nodata = common_nodata(predictor.members) if settings.nodata is None else settings.nodata
    return replace(settings, threshold=threshold, nodata=nodata)


def identity_of(plan: Plan, predictor: Predictor, settings: PredictionSettings) -> dict[str, object]:
    """What the finished blocks depend on; a run that differs in any of it must not go on with them."""
    return dependencies(plan.grid, predictor, settings) | {"block_size": plan.block_size, "halo": plan.halo}


def dependencies(grid: Grid, predictor: Predictor, settings: PredictionSettings) -> dict[str, object]:
    """All of that but the cuts, which may depend on it.

    Raises:
        NoOverlapError: The area has no pixel of the scene.
        RasterError: The scene or the area cannot be read.
        PackageError: The scene does not fit the model.
    """
    packages = predictor.packages
    area = area_on(grid, settings.area, settings.area_crs)
    return (
        {
            "version": __version__,
            "scene": address_of(grid.path) if is_remote(grid.path) else str(grid.path.resolve()),
            "scene_version": scene_version(grid.path),
            "model": _of_each([package.weights_sha256 for package in packages]),
            "temperature": _of_each([package.temperature for package in packages]),
            "bias": _of_each([package.bias for package in packages]),
            "backend": _of_each([member.backend.name for member in predictor.members]),
            "bands": common_bands(predictor.members, grid, settings),
            "tolerance": settings.tolerance if settings.halo in MEASURED else None,
            "tta": asdict(predictor.augmentation),
            "nodata": settings.nodata,
            "threshold": settings.threshold,
            "interior": settings.interior,
            "on_unreadable": settings.on_unreadable,
        }
        | ({"uncertainty": True} if predictor.uncertainty else {})
        | ({"area": area.checksum} if area else {})
    )


def is_of_run(kept: Mapping[str, object], depends: Mapping[str, object]) -> bool:
    """Whether blocks are of a run with these dependencies, however that cut the scene.

    Args:
        kept: What was kept with the blocks.
        depends: As `dependencies` gives it.
    """
    # As text, in which it was kept: a NaN would differ from itself, and a tuple from its list.
    texts = ([json.dumps(run.get(key), sort_keys=True) for key in depends] for run in (kept, depends))
    return next(texts) == next(texts)


def map_tags(plan: Plan, predictor: Predictor, settings: PredictionSettings) -> dict[str, str]:
    """What each map of a run says of it."""
    identity = identity_of(plan, predictor, settings)
    area = {} if settings.area is None else {"SEG_AREA": " ".join(filter(None, (settings.area, settings.area_crs)))}
    return (
        {"SOFTWARE": f"cropland-seg {__version__}", RUN_TAG: run_checksum(plan.grid, predictor, settings)}
        | {f"SEG_{key.upper()}": _text(identity[key]) for key in _SHOWN}
        | area
    )


def run_checksum(grid: Grid, predictor: Predictor, settings: PredictionSettings) -> str:
    """A checksum of the scene, the model and all that was asked for, known before the scene is planned.

    Args:
        grid: The scene.
        predictor: The model.
        settings: Those completed with the model's own.

    Raises:
        SegError: As `dependencies` does.
    """
    asked = {"asked_block_size": settings.block_size, "asked_halo": settings.halo}
    text = json.dumps(dependencies(grid, predictor, settings) | asked, sort_keys=True)
    return short_hash(text)


def _of_each(values: Sequence[object]) -> object:
    """What is so of each model: of one model the value itself."""
    return list(values) if len(values) > 1 else values[0]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


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
    with suppress(RasterError), claimed_blocks(folder):
        now = dependencies(read_grid(job.scene), predictor, completed(settings, predictor))
        if not has_blocks(folder) or is_of_run(stored_run(folder), now):
            discard_blocks(folder)


def _run_of(path: Path) -> str | None:
    try:
        with rasterio.open(path) as dataset:
            run: str | None = dataset.tags().get(RUN_TAG)
            return run
    except RasterioError:  # whatever it is, no map of ours
        return None
