"""Map one scene: match it with the models, plan and compute its blocks, and write its maps."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rasterio.windows import Window

from seg.errors import RasterError
from seg.files import require_output_file
from seg.inference.blocks.layers import empty_pixels, map_descriptions
from seg.inference.blocks.pipeline import Findings, run_blocks
from seg.inference.compute.predictor import Predictor
from seg.inference.feature_layers import layers_of, write_layers
from seg.inference.inputs import map_paths
from seg.inference.interruption import explain_interruption
from seg.inference.planning.block_size import recorded_size
from seg.inference.planning.fitting import FittedScene, fit_scene
from seg.inference.planning.plan import Plan, Report, plan_scene
from seg.inference.screening.tally import screened_tally
from seg.inference.settings import MEASURED, PredictionSettings
from seg.inference.unlikeness import Unlikeness, scene_unlikeness
from seg.raster.chips import Reading
from seg.raster.folder import GEOTIFF_SUFFIXES
from seg.raster.gdal_options import MIB, gdal_options
from seg.raster.sources import require_apart, scene_version
from seg.raster.windows import blocks_of
from seg.raster.writing.block_store import (
    BlockPixels,
    BlockStore,
    has_blocks,
    open_store,
    partial_folder,
    stored_run,
)
from seg.raster.writing.cog import write_cogs

TILE_CACHE = 64 * MIB
"""Size of GDAL's cache of decoded tiles, in bytes. Blocks are read once and in order, so the tiles along one row of
blocks of a typical COG are enough."""


@dataclass(frozen=True)
class SceneMaps:
    """Maps of a scene.

    Attributes:
        classes: File of the class map: 0 other, 1 cropland, 255 nodata.
        probability: File of the probability map: percent, 255 nodata.
        uncertainty: File of the standard deviation over views and models: 100 for 0.5, the largest possible, and 255
            nodata; None unless uncertainty is mapped.
        found: Problems in the blocks that this run computed.
        layers: Files of the features and the distance that this run wrote.
        screened: File of the screened pixels: 0 computed, 1 screened, 255 nodata; None without a screener.
    """

    classes: Path
    probability: Path
    uncertainty: Path | None
    found: Findings
    layers: tuple[Path, ...] = ()
    screened: Path | None = None


def predict_scene(
    scene: Path, output: Path, predictor: Predictor, settings: PredictionSettings, report: Report
) -> SceneMaps:
    """Map one scene block by block; memory does not depend on the size of the scene.

    Args:
        scene: The raster.
        output: The class map to write; names of the other maps end in `_probability` and `_uncertainty`.
        predictor: Models and augmentation.
        settings: Settings of the prediction.
        report: Called with the plan and the number of finished blocks, before the first block and after each block.

    Raises:
        RasterError: The scene cannot be read, or the output cannot be written.
        PackageError: The scene does not match the models.
        NoOverlapError: No pixel of the scene lies in the area.
        ConfigError: Settings contradict each other, the models or the scene.
    """
    with gdal_options(TILE_CACHE):
        return map_scene(fit_scene(scene, predictor, settings), output, predictor, settings, report)


def map_scene(
    scene: FittedScene, output: Path, predictor: Predictor, settings: PredictionSettings, report: Report
) -> SceneMaps:
    """Map a scene, as `predict_scene` does, after `fit_scene` has matched the scene with the models.

    Finished blocks are kept in `<output>.partial/` until all maps are written, so a killed run continues where it
    stopped.
    """
    plan = prepare_scene(scene, output, predictor, settings)
    predictor = predictor.of_scene(scene.identity.scene_statistics)
    with open_store(output, plan.record, settings.restart) as store, explain_interruption(plan, store):
        with gdal_options(plan.cache or TILE_CACHE):
            found = run_blocks(plan, predictor, store, report)
        assemble_maps(plan, output, store)
        store.discard()
    layers = tuple(write_layers(scene, output, predictor, layers_of(settings)))
    return scene_maps(plan, output, found, layers)


def prepare_scene(scene: FittedScene, output: Path, predictor: Predictor, settings: PredictionSettings) -> Plan:
    """Check the outputs of a scene, measure its distance from the training images, and plan its blocks.

    Block size and halo of an unfinished run with the same identity are reused.

    Raises:
        RasterError: The scene cannot be read, or the header of the unfinished run is damaged.
        ConfigError: A map cannot be written to the output.
    """
    paths = _paths(output, scene)
    for path in paths:
        require_output_file(path, GEOTIFF_SUFFIXES)
    require_apart(paths, [scene.grid.path, *_area_file(settings.area)])
    predictor = predictor.of_scene(scene.identity.scene_statistics)
    scene = replace(scene, unlikeness=_unlikeness(scene, predictor))
    return _planned(scene, predictor, settings, output)


def assemble_maps(plan: Plan, output: Path, store: BlockStore) -> None:
    """Write the maps of a scene from its finished blocks.

    Args:
        plan: All blocks of the scene.
        output: The class map.
        store: Holds all blocks of the plan.

    Raises:
        RasterError: The scene was changed while it was read, a block is damaged, or a map cannot be written.
    """
    _require_unchanged(plan.scene)
    descriptions = map_descriptions(plan, screened_tally(plan, store))
    write_cogs(plan.grid, dict(zip(_paths(output, plan.scene), descriptions, strict=True)), _parts(plan, store))


def scene_maps(plan: Plan, output: Path, found: Findings, layers: tuple[Path, ...]) -> SceneMaps:
    """Files of a scene's maps, with the problems that were found in its blocks."""
    classes, probability, *others = _paths(output, plan.scene)
    identity = plan.scene.identity
    screened = others[-1] if identity.screening is not None else None
    return SceneMaps(classes, probability, others[0] if identity.uncertainty else None, found, layers, screened)


def _paths(output: Path, scene: FittedScene) -> list[Path]:
    return map_paths(output, scene.identity.uncertainty, scene.identity.screening is not None)


def _unlikeness(scene: FittedScene, predictor: Predictor) -> Unlikeness | None:
    reading = Reading(scene.identity.bands, predictor.fill, scene.identity.nodata)
    return scene_unlikeness(scene.grid, scene.area, reading, predictor.members)


def _area_file(area: str | None) -> list[Path]:
    """File that an area names; after the file name, the text may have a bar and the name of a layer."""
    return [] if area is None else [Path(area.partition("|")[0])]


def _planned(scene: FittedScene, predictor: Predictor, settings: PredictionSettings, output: Path) -> Plan:
    """Plan a scene; reuse block size and halo of an unfinished run with the same identity."""
    kept = {} if settings.restart else stored_run(partial_folder(output))
    size, halo = recorded_size(kept.get("block_size")), kept.get("halo")
    # Only the plan of the same run is reused: the halo of another scene or model could be too small.
    if not (size is not None and isinstance(halo, int) and scene.identity.matches(kept)):
        return plan_scene(scene, predictor, settings)
    # A run without a finished block may have run out of memory, so a new --memory may lead to another block size.
    resize = settings.memory is not None and not has_blocks(partial_folder(output))
    kept_size = size if settings.block_size == "auto" and not resize else None
    if settings.halo not in MEASURED:
        return plan_scene(scene, predictor, settings, kept_size)
    plan = plan_scene(scene, predictor, replace(settings, halo=halo), kept_size)
    return replace(plan, halo_origin="from the unfinished run")


def _parts(plan: Plan, store: BlockStore) -> Iterator[tuple[Window, BlockPixels]]:
    """The window and the (layers, H, W) pixels of each block; blocks outside the area hold nodata."""
    mapped = {block.name for block in plan.blocks}
    for block in blocks_of(*plan.block_size.spans((plan.grid.height, plan.grid.width), plan.halo)):
        if block.name in mapped:
            yield block.core, store.read(block.name)
        else:
            yield block.core, empty_pixels((block.core.height, block.core.width), plan.scene.identity.layers)


def _require_unchanged(scene: FittedScene) -> None:
    """Check that the scene did not change while it was read. A scene that was removed after reading is accepted."""
    path = scene.grid.path
    if scene_version(path) not in (None, scene.identity.scene_version):
        raise RasterError(
            f"{path}: was changed while it was read, so its blocks mix two versions; "
            "repeat the run with --restart=true, and do not change the scene during the run"
        )
