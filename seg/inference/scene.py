"""One scene from raster to maps: plan, run the blocks, assemble."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from seg import __version__
from seg.errors import RasterError
from seg.inference.plan import Plan, plan_scene
from seg.inference.predictor import Predictor
from seg.inference.settings import PredictionSettings
from seg.labels import CROPLAND, IGNORE, LABEL_COLOURS, OTHER
from seg.package.description import ModelPackage
from seg.raster.chips import ByteMask, Chip, read_chip
from seg.raster.cog import CogLayer, write_cog
from seg.raster.grid import open_raster, read_grid
from seg.raster.store import BlockPixels, BlockStore, partial_folder, stored_run
from seg.raster.windows import Block

CLASS_LAYER, PERCENT_LAYER = 0, 1

Report = Callable[[Plan, int], None]


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
    plan = plan_scene(grid, predictor, _with_earlier_halo(settings, output))
    store = BlockStore(output, _identity(plan, predictor.package, settings), settings.restart)
    zero_pixels = _run_blocks(plan, predictor, settings, store, report)
    tags = _tags(plan, predictor.package, settings)
    write_cog(probability, plan.grid, _percent_layer(tags), _parts(plan, store, PERCENT_LAYER))
    write_cog(output, plan.grid, _class_layer(tags), _parts(plan, store, CLASS_LAYER))
    store.discard()
    return SceneMaps(output, probability, zero_pixels)


def _run_blocks(
    plan: Plan, predictor: Predictor, settings: PredictionSettings, store: BlockStore, report: Report
) -> int:
    todo = [block for block in plan.blocks if block.name not in store]
    done, zero_pixels = len(plan.blocks) - len(todo), 0
    report(plan, done)
    for block, chip in _read_ahead(plan, todo, predictor.package.mean, settings.nodata):
        inner = block.core_within_read
        zero_pixels += int((chip.valid[inner] & (chip.image[:, *inner] == 0).all(axis=0)).sum())
        store.write(block.name, _predicted(chip, inner, predictor, float(settings.threshold or 0)))
        done += 1
        report(plan, done)
    return zero_pixels


def _predicted(chip: Chip, core: tuple[slice, slice], predictor: Predictor, threshold: float) -> BlockPixels:
    """The (2, H, W) uint8 classes and percents of a block's core."""
    valid = chip.valid[core]
    if not valid.any():
        return np.full((2, *valid.shape), IGNORE, dtype=np.uint8)
    probability = predictor.probability(chip.image)[core]
    classes = np.where(probability > threshold, CROPLAND, OTHER)
    percent = np.rint(probability * 100)
    return np.where(valid, np.stack([classes, percent]), IGNORE).astype(np.uint8)


def _read_ahead(
    plan: Plan, blocks: Sequence[Block], fill: Sequence[float], nodata: float | None
) -> Iterator[tuple[Block, Chip]]:
    """Each block with its pixels, the next one read in a thread of its own while this one is computed."""
    handles = ExitStack()
    with ThreadPoolExecutor(max_workers=1) as reader:
        # Opened, read and closed in the reader's thread alone: a GDAL handle must not be shared between threads.
        dataset = reader.submit(lambda: handles.enter_context(open_raster(plan.grid.path))).result()
        try:
            ahead: deque[tuple[Block, Future[Chip]]] = deque()
            for block in blocks:
                ahead.append((block, reader.submit(read_chip, dataset, block.read, plan.bands, fill, nodata)))
                if len(ahead) > 1:
                    earlier, chip = ahead.popleft()
                    yield earlier, chip.result()
            for block, chip in ahead:
                yield block, chip.result()
        finally:
            reader.submit(handles.close).result()


def _parts(plan: Plan, store: BlockStore, layer: int) -> Iterator[tuple[Window, ByteMask]]:
    for block in plan.blocks:
        yield block.core, store.read(block.name)[layer]


def _completed(settings: PredictionSettings, package: ModelPackage) -> PredictionSettings:
    """The settings with the model's own values where none was asked for."""
    threshold = package.threshold if settings.threshold is None else settings.threshold
    nodata = package.nodata if settings.nodata is None else settings.nodata
    return replace(settings, threshold=threshold, nodata=nodata)


def _with_earlier_halo(settings: PredictionSettings, output: Path) -> PredictionSettings:
    """A halo measured once is not measured again when the run goes on: it may come out otherwise."""
    if settings.halo != "measure" or settings.restart:
        return settings
    earlier = stored_run(partial_folder(output)).get("halo")
    return replace(settings, halo=earlier) if isinstance(earlier, int) else settings


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


def _identity(plan: Plan, package: ModelPackage, settings: PredictionSettings) -> dict[str, object]:
    """What the finished blocks depend on; a run that differs in any of it must not go on with them."""
    file = plan.grid.path.stat() if plan.grid.path.exists() else None
    return {
        "version": __version__,
        "scene": str(plan.grid.path.resolve()),
        "scene_size_and_time": [file.st_size, file.st_mtime_ns] if file else None,
        "model": package.weights_sha256,
        "temperature": package.temperature,
        "bias": package.bias,
        "bands": list(plan.bands),
        "block_size": plan.block_size,
        "halo": plan.halo,
        "tolerance": settings.tolerance if settings.halo == "measure" else None,
        "tta": asdict(settings.tta),
        "nodata": settings.nodata,
        "threshold": settings.threshold,
        "interior": settings.interior,
    }


def _tags(plan: Plan, package: ModelPackage, settings: PredictionSettings) -> dict[str, str]:
    identity = _identity(plan, package, settings)
    shown = ("model", "temperature", "bias", "threshold", "block_size", "halo", "tta", "version")
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
