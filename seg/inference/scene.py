"""One scene from raster to maps: plan, run the blocks, assemble."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rasterio.windows import Window

from seg import __version__
from seg.errors import RasterError
from seg.inference.pipeline import Report, run_blocks
from seg.inference.plan import Plan, fitting_bands, plan_scene
from seg.inference.predictor import Predictor
from seg.inference.settings import PredictionSettings
from seg.labels import IGNORE, LABEL_COLOURS
from seg.package.description import ModelPackage
from seg.raster.chips import ByteMask
from seg.raster.cog import CogLayer, write_cog
from seg.raster.grid import Grid, read_grid
from seg.raster.store import BlockStore, partial_folder, stored_run

CLASS_LAYER, PERCENT_LAYER = 0, 1
MEASURED = ("auto", "measure")
"""Halos that depend on the scene's pixels, so that they are kept when a run goes on."""


@dataclass(frozen=True)
class SceneMaps:
    """What came of a scene.

    Attributes:
        classes: The class map: 0 other, 1 cropland, 255 nodata.
        probability: The probability map: percent, 255 nodata.
        zero_pixels: Pixels taken as data that are 0 in every band: often the empty corners of a file that declares no
            nodata. Counted over the blocks of this run.
    """

    classes: Path
    probability: Path
    zero_pixels: int


def predict_scene(
    scene: Path, output: Path, predictor: Predictor, settings: PredictionSettings, report: Report
) -> SceneMaps:
    """Map one scene block by block; memory does not depend on its size.

    Finished blocks are kept in `<output>.partial/` until both maps are written, so a killed run goes on where it was.

    Args:
        scene: The raster.
        output: The class map to write; the probability map gets `_probability` added to its stem.
        predictor: The model.
        settings: How it is predicted.
        report: Called with the plan and the number of finished blocks, before the first block and after each.

    Raises:
        RasterError: The scene cannot be read, or the output cannot be written.
        PackageError: The scene does not fit the model.
        ConfigError: A setting cannot be.
    """
    grid = read_grid(scene)
    probability = output.with_name(f"{output.stem}_probability{output.suffix}")
    for path in (output, probability):
        _require_writable(path, scene)
    settings = _completed(settings, predictor.package)
    plan = _planned(grid, predictor, settings, output)
    identity = _identity(plan, predictor, settings)
    store = BlockStore(output, identity, settings.restart)
    zero_pixels = run_blocks(plan, predictor, settings, store, report)
    tags = _tags(identity)
    with ThreadPoolExecutor(max_workers=2) as pool:
        writing = (
            pool.submit(write_cog, probability, grid, _percent_layer(tags), _parts(plan, store, PERCENT_LAYER)),
            pool.submit(write_cog, output, grid, _class_layer(tags), _parts(plan, store, CLASS_LAYER)),
        )
    for written in writing:
        written.result()
    store.discard()
    return SceneMaps(output, probability, zero_pixels)


def _parts(plan: Plan, store: BlockStore, layer: int) -> Iterator[tuple[Window, ByteMask]]:
    for block in plan.blocks:
        yield block.core, store.read(block.name)[layer]


def _completed(settings: PredictionSettings, package: ModelPackage) -> PredictionSettings:
    """The settings with the model's own values where none was asked for."""
    threshold = package.threshold if settings.threshold is None else settings.threshold
    nodata = package.nodata if settings.nodata is None else settings.nodata
    return replace(settings, threshold=threshold, nodata=nodata)


def _planned(grid: Grid, predictor: Predictor, settings: PredictionSettings, output: Path) -> Plan:
    """The plan; what an unfinished run of the same chose is not chosen again, as it may come out otherwise."""
    earlier = {} if settings.restart else stored_run(partial_folder(output))
    size, halo = earlier.get("block_size"), earlier.get("halo")
    now = _depends(grid, predictor, settings)
    # Compared as text, in which the earlier run was kept. Of another scene or model, the halo would be too small.
    if not (isinstance(size, int) and isinstance(halo, int) and _texts(earlier, now) == _texts(now, now)):
        return plan_scene(grid, predictor, settings)
    kept_size = size if settings.block_size == "auto" else settings.block_size
    if settings.halo not in MEASURED:
        return plan_scene(grid, predictor, replace(settings, block_size=kept_size))
    plan = plan_scene(grid, predictor, replace(settings, block_size=kept_size, halo=halo))
    return replace(plan, halo_origin="as the run began")


def _texts(run: Mapping[str, object], keys: Iterable[str]) -> list[str]:
    return [json.dumps(run.get(key), sort_keys=True) for key in keys]


def _require_writable(output: Path, scene: Path) -> None:
    if output.suffix.lower() not in {".tif", ".tiff"}:
        raise RasterError(f"{output}: is no GeoTIFF by its name; wanted an output that ends in .tif")
    if not output.parent.is_dir():
        raise RasterError(f"{output}: its folder {output.parent} does not exist; make it or name another output")
    if not os.access(output.parent, os.W_OK):
        raise RasterError(f"{output}: its folder {output.parent} cannot be written; name another output")
    if output.is_dir():
        raise RasterError(f"{output}: is a folder; name a file that ends in .tif")
    if output.exists() and scene.exists() and output.samefile(scene):
        raise RasterError(f"{output}: is the scene itself, which the map would replace; name another output")


def _identity(plan: Plan, predictor: Predictor, settings: PredictionSettings) -> dict[str, object]:
    """What the finished blocks depend on; a run that differs in any of it must not go on with them."""
    return _depends(plan.grid, predictor, settings) | {"block_size": plan.block_size, "halo": plan.halo}


def _depends(grid: Grid, predictor: Predictor, settings: PredictionSettings) -> dict[str, object]:
    """All of that but the cuts, which may depend on it."""
    package = predictor.package
    file = grid.path.stat() if grid.path.exists() else None
    return {
        "version": __version__,
        "scene": str(grid.path.resolve()),
        "scene_size_and_time": [file.st_size, file.st_mtime_ns] if file else None,
        "model": package.weights_sha256,
        "temperature": package.temperature,
        "bias": package.bias,
        "backend": predictor.backend.name,
        "bands": fitting_bands(package, grid, settings),
        "tolerance": settings.tolerance if settings.halo in MEASURED else None,
        "tta": asdict(settings.tta),
        "nodata": settings.nodata,
        "threshold": settings.threshold,
        "interior": settings.interior,
    }


def _tags(identity: Mapping[str, object]) -> dict[str, str]:
    shown = ("model", "temperature", "bias", "backend", "threshold", "block_size", "halo", "tta", "version")
    return {"SOFTWARE": f"cropland-seg {__version__}"} | {f"SEG_{key.upper()}": str(identity[key]) for key in shown}


def _class_layer(tags: dict[str, str]) -> CogLayer:
    return CogLayer(
        nodata=IGNORE,
        description="cropland",
        colours=LABEL_COLOURS,
        tags=tags | {"UNITS": "0 other, 1 cropland"},
        resampling="MODE",
    )


def _percent_layer(tags: dict[str, str]) -> CogLayer:
    return CogLayer(nodata=IGNORE, description="cropland probability", scale=0.01, tags=tags)
