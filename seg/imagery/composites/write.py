"""Write a composite block by block; a run that was killed continues where it stopped."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg import __version__
from seg.errors import RasterError
from seg.files import SOFTWARE, require_output_file
from seg.imagery.composites.blocks import combine_blocks
from seg.imagery.composites.planning import CompositePlan, plan_composite
from seg.imagery.composites.sharing import MapBlocks, combine_apart
from seg.imagery.settings import CompositeSettings
from seg.raster.folder import GEOTIFF_SUFFIXES
from seg.raster.remote import shown_name, stem_of
from seg.raster.sources import require_apart, require_own_raster, scene_version
from seg.raster.writing.block_store import BlockStore, open_store, partial_folder, stored_run
from seg.raster.writing.scene_cog import SceneLayout, ScenePart, write_scene_cog
from seg.terminal.text import counted

Report = Callable[[int, int], None]
"""Function that is called with the number of finished blocks and the number of all blocks."""

COUNT_BAND = "valid_dates"
"""Name of the band with the number of valid inputs of each pixel."""


@dataclass(frozen=True)
class Composite:
    """A finished composite.

    Attributes:
        plan: Grid, inputs and bands.
        covered: Share of the pixels with at least one valid input, 0 to 1.
        mean_count: Mean number of valid inputs of these pixels.
    """

    plan: CompositePlan
    covered: float
    mean_count: float


def write_composite(
    inputs: Sequence[Path],
    output: Path,
    settings: CompositeSettings,
    report: Report = lambda done, total: None,
    over: MapBlocks | None = None,
) -> Composite:
    """Combine scenes into one Cloud Optimized GeoTIFF with an additional band, the number of valid inputs.

    Finished blocks are kept in `<output>.partial/` until the file is written. The file has the same bytes after an
    interruption and with any limit of memory.

    Args:
        inputs: Scenes in order.
        output: The .tif file; an older composite is replaced.
        settings: Settings.
        report: Called before the first block and after each block, unless other processes combine the blocks.
        over: Calls a function for each block in other processes; by default, this process combines the blocks.

    Raises:
        RasterError: An input cannot be read, or does not fit the others; or the folder of blocks belongs to a run with
            other settings.
        NoOverlapError: No input has pixels on the chosen grid.
        ConfigError: The output cannot be written, is an input, or was not written by this software; or the memory is
            too small.
        WriteError: The output cannot be stored.
        ClaimError: Another process writes the same output.
    """
    require_output_file(output, GEOTIFF_SUFFIXES)
    require_apart([output], [*inputs, settings.grid])
    require_own_raster(output)
    plan = plan_composite(inputs, output, settings, {} if settings.restart else stored_run(partial_folder(output)))
    with open_store(output, plan.record, settings.restart) as store, _explained(store):
        todo = [block for block in plan.blocks if block.name not in store]
        if over is None:
            done, total = len(plan.blocks) - len(todo), len(plan.blocks)
            report(done, total)
            for finished, _ in enumerate(combine_blocks(plan, todo, store, settings.method), start=done + 1):
                report(finished, total)
        else:
            combine_apart(todo, inputs, output, settings, over)
        _require_unchanged(inputs, plan)
        counts = _Counts()
        layout = _layout(plan, settings)
        write_scene_cog(output, plan.grid, layout, counts.watch(_parts(plan, store)))
        store.discard()
    return Composite(plan, counts.covered, counts.mean)


def _parts(plan: CompositePlan, store: BlockStore) -> Iterator[ScenePart]:
    """Window, pixels and validity of each block."""
    for block in plan.blocks:
        pixels = np.ascontiguousarray(store.read(block.name)).view(plan.bands.dtype)
        yield block.core, pixels, pixels[-1] != 0


class _Counts:
    """Sums of the counts of valid inputs."""

    def __init__(self) -> None:
        self.pixels = self.valid = self.inputs = 0

    def watch(self, parts: Iterator[ScenePart]) -> Iterator[ScenePart]:
        """Yield the parts unchanged and count their pixels."""
        for window, pixels, valid in parts:
            self.pixels += valid.size
            self.valid += int(valid.sum())
            self.inputs += int(pixels[-1].sum(dtype=np.int64))
            yield window, pixels, valid

    @property
    def covered(self) -> float:
        return self.valid / self.pixels

    @property
    def mean(self) -> float:
        return self.inputs / max(self.valid, 1)


def _layout(plan: CompositePlan, settings: CompositeSettings) -> SceneLayout:
    bands = plan.bands
    tags = {
        "SOFTWARE": f"{SOFTWARE} {__version__}",
        "SEG_METHOD": settings.method,
        "SEG_INPUTS": ", ".join(stem_of(scene.placed.grid.path) for scene in plan.scenes),
    }
    return SceneLayout(
        dtype=bands.dtype,
        names=(*bands.names, COUNT_BAND),
        nodata=plan.nodata,
        scaling=(*bands.scaling, (1.0, 0.0)) if bands.scaling else (),
        units=(*bands.units, "") if bands.units else (),
        tags=tags,
    )


def _require_unchanged(inputs: Sequence[Path], plan: CompositePlan) -> None:
    versions = plan.record["input_versions"]
    for path, version in zip(inputs, versions if isinstance(versions, list) else [], strict=True):
        if scene_version(path) not in (None, version):
            raise RasterError(
                f"{shown_name(path)}: was changed while it was read, so the blocks mix two versions; repeat the "
                "command with --restart=true, and do not change the inputs while it runs"
            )


@contextmanager
def _explained(store: BlockStore) -> Iterator[None]:
    """Add the number of finished blocks to the message of an interruption."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        kept = counted(store.finished, "finished block")
        raise KeyboardInterrupt(
            f"interrupted; {kept} kept in {store.folder}: repeat the command to continue"
        ) from interrupt
