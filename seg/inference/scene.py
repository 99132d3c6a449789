"""One scene from raster to maps: plan, run the blocks, assemble."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

import numpy as np
from rasterio.windows import Window

from seg.errors import RasterError
from seg.files import require_output_file
from seg.inference.blocks.layers import MapLayers
from seg.inference.blocks.pipeline import Found, Report, run_blocks, tile_cache
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.plan import Plan, plan_scene
from seg.inference.resuming.identity import (
    MEASURED,
    completed,
    dependencies,
    identity_of,
    is_of_run,
    map_tags,
)
from seg.inference.resuming.interruption import how_to_go_on
from seg.inference.settings import PredictionSettings
from seg.labels import IGNORE
from seg.raster.chips import ByteMask
from seg.raster.folder import GEOTIFF_SUFFIXES
from seg.raster.grid import Grid, read_grid
from seg.raster.scene_version import scene_version
from seg.raster.windows import plan_blocks
from seg.raster.writing.block_store import (
    BlockStore,
    has_blocks,
    open_store,
    partial_folder,
    stored_run,
)
from seg.raster.writing.cog import CogLayer, write_cog


@dataclass(frozen=True)
class SceneMaps:
    """What came of a scene.

    Attributes:
        classes: The class map: 0 other, 1 cropland, 255 nodata.
        probability: The probability map: percent, 255 nodata.
        uncertainty: The map of the standard deviation over views and models, in percent of 0.5, 255 nodata; None where
            nobody asked for it.
        found: What was found in the blocks of this run.
    """

    classes: Path
    probability: Path
    uncertainty: Path | None
    found: Found


def predict_scene(
    scene: Path, output: Path, predictor: Predictor, settings: PredictionSettings, report: Report
) -> SceneMaps:
    """Map one scene block by block; memory does not depend on its size.

    Finished blocks are kept in `<output>.partial/` until all maps are written, so a killed run goes on where it was.

    Args:
        scene: The raster.
        output: The class map to write; the other maps get `_probability` and `_uncertainty` added to its stem.
        predictor: The model.
        settings: How it is predicted.
        report: Called with the plan and the number of finished blocks, before the first block and after each.

    Raises:
        RasterError: The scene cannot be read, or the output cannot be written.
        PackageError: The scene does not fit the model.
        ConfigError: A setting cannot be.
    """
    grid = read_grid(scene)
    settings = completed(settings, predictor)
    layers = MapLayers(float(settings.threshold or 0), predictor.uncertainty)
    paths = layers.paths(output)
    for path in paths:
        require_output_file(path, GEOTIFF_SUFFIXES, [scene])
    plan = _planned(grid, predictor, settings, output)
    identity = identity_of(plan, predictor, settings)
    maps = list(zip(paths, layers.descriptions(map_tags(plan, predictor, settings)), strict=True))
    with open_store(output, identity, settings.restart) as store, how_to_go_on(plan, store):
        with tile_cache(plan):
            found = run_blocks(plan, predictor, settings, store, report)
        _require_unchanged(scene, identity)
        _write_maps(plan, store, maps)
        store.discard()
    return SceneMaps(paths[0], paths[1], paths[2] if predictor.uncertainty else None, found)


def _write_maps(plan: Plan, store: BlockStore, maps: Sequence[tuple[Path, CogLayer]]) -> None:
    stopped = Event()
    with ThreadPoolExecutor(max_workers=2) as pool:
        # The last first: probabilities take the longest to compress.
        writing = [
            pool.submit(write_cog, path, plan.grid, described, _parts(plan, store, layer, stopped))
            for layer, (path, described) in reversed(list(enumerate(maps)))
        ]
        try:
            for written in wait(writing, return_when=FIRST_EXCEPTION).done:
                written.result()
        except BaseException:
            stopped.set()  # the others would be written in vain
            raise


def _parts(plan: Plan, store: BlockStore, layer: int, stopped: Event) -> Iterator[tuple[Window, ByteMask]]:
    mapped = {block.name for block in plan.blocks}
    for block in plan_blocks(plan.grid.height, plan.grid.width, plan.block_size, halo=0):
        if stopped.is_set():
            raise RasterError(f"{store.folder}: the maps are not written after all")
        if block.name in mapped:
            yield block.core, store.read(block.name)[layer]
        else:
            yield block.core, np.full((block.core.height, block.core.width), IGNORE, dtype=np.uint8)


def _require_unchanged(scene: Path, identity: Mapping[str, object]) -> None:
    """Check that all blocks are of one scene. One that was removed meanwhile was read to its end all the same."""
    if scene_version(scene) not in (None, identity["scene_version"]):
        raise RasterError(
            f"{scene}: was changed while it was read, so its blocks are of two versions; "
            "leave it as it is and repeat the run with --restart=true"
        )


def _planned(grid: Grid, predictor: Predictor, settings: PredictionSettings, output: Path) -> Plan:
    """The plan; what an unfinished run of the same chose is not chosen again, as it may come out otherwise."""
    earlier = {} if settings.restart else stored_run(partial_folder(output))
    size, halo = earlier.get("block_size"), earlier.get("halo")
    now = dependencies(grid, predictor, settings)
    # Of another scene or model, the halo would be too small.
    if not (isinstance(size, int) and isinstance(halo, int) and is_of_run(earlier, now)):
        return plan_scene(grid, predictor, settings)
    # With a limit of its own, a run whose first block took too much memory may be cut anew.
    anew = settings.memory is not None and not has_blocks(partial_folder(output))
    kept_size = size if settings.block_size == "auto" and not anew else settings.block_size
    if settings.halo not in MEASURED:
        return plan_scene(grid, predictor, replace(settings, block_size=kept_size))
    plan = plan_scene(grid, predictor, replace(settings, block_size=kept_size, halo=halo))
    return replace(plan, halo_origin="as the run began")
