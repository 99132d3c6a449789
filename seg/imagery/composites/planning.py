"""Plan of a composite: its grid, its scenes, blocks that fit the memory, and the identity of the run."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg import __version__
from seg.errors import ConfigError, NoOverlapError
from seg.imagery.composites.alignment import AlignedScene
from seg.imagery.composites.matching import CommonBands, common_bands
from seg.imagery.composites.target_grid import Placed, common_grid, place_on
from seg.imagery.settings import GIB, CompositeSettings
from seg.raster.gdal_options import CACHE
from seg.raster.grid import Grid, open_raster, read_grid
from seg.raster.remote import address_of, is_remote, shown_name
from seg.raster.sources import scene_version
from seg.raster.windows import Block, blocks_of, core_spans, round_up

READERS = 2
"""Number of threads that read scenes."""

PROCESS = 200 * 2**20
"""Memory in bytes of the libraries and of temporary arrays."""

SMALLEST_BLOCK = 64
"""Side in pixels of the smallest block, which is used only if the memory is too small for larger blocks."""

_LARGEST_TILE = 1024
"""Largest tile side of an input, in pixels, to which blocks are fitted."""

_FEWEST = 256
"""Sides of blocks are multiples of this number of pixels, unless the memory is too small for such blocks."""


@dataclass(frozen=True)
class CompositePlan:
    """Everything that a composite depends on.

    Attributes:
        grid: The grid of the composite.
        scenes: The inputs on this grid, in order.
        bands: Bands, names and units.
        nodata: Nodata value of the composite. None if there is none; then a mask holds the validity.
        block: Height and width of a block.
        record: Everything that the pixels depend on, and the size of the blocks, as JSON values.
    """

    grid: Grid
    scenes: Sequence[AlignedScene]
    bands: CommonBands
    nodata: float | None
    block: tuple[int, int]
    record: Mapping[str, object]

    @property
    def blocks(self) -> list[Block]:
        """The blocks, row by row."""
        return blocks_of(core_spans(self.grid.height, self.block[0], 0), core_spans(self.grid.width, self.block[1], 0))


def plan_composite(
    inputs: Sequence[Path], output: Path, settings: CompositeSettings, kept: Mapping[str, object]
) -> CompositePlan:
    """Check all inputs and plan a composite.

    Args:
        inputs: Scenes in order.
        output: The file to write.
        settings: Settings.
        kept: Record of an unfinished run of this output; empty if there is none. If this record differs from the new
            one only in its block size, the plan uses the block size of the unfinished run.

    Raises:
        RasterError: An input cannot be read, or does not fit the other inputs.
        NoOverlapError: No input has pixels on the chosen grid.
        ConfigError: The memory is too small.
    """
    grids = [read_grid(path) for path in inputs]
    bands = common_bands(grids, settings.bands)
    target = common_grid(grids, output) if settings.grid is None else read_grid(settings.grid)
    scenes = [
        AlignedScene(place_on(grid, target), target, indexes, settings.nodata)
        for grid, indexes in zip(grids, bands.indexes, strict=True)
    ]
    if not any(scene.placed.window.width for scene in scenes):
        raise NoOverlapError(f"{shown_name(target.path)}: no input has pixels on this grid; choose another --grid")
    nodata = _nodata(grids, settings.nodata, bands.dtype)
    identity = _identity(inputs, target, bands, nodata) | {"method": settings.method, "additional": settings.nodata}
    same = kept and {key: value for key, value in kept.items() if key != "block"} == as_json(identity)
    block = _size(kept.get("block")) if same else None
    if block is None:
        budget = int(settings.memory * GIB) - PROCESS - CACHE
        block = _block_shape([scene.placed for scene in scenes], target, bands, budget)
    return CompositePlan(target, scenes, bands, nodata, block, identity | {"block": list(block)})


def _nodata(grids: Sequence[Grid], additional: float | None, dtype: str) -> float | None:
    """First of the additional value and the inputs' nodata values that the data type can hold; None if none fits."""
    for value in (additional, *(grid.nodata for grid in grids)):
        if value is not None and (np.dtype(dtype).kind == "f" or _is_integer_of(value, dtype)):
            return value
    return None


def _is_integer_of(value: float, dtype: str) -> bool:
    limits = np.iinfo(dtype)
    return float(value).is_integer() and limits.min <= value <= limits.max


def _identity(inputs: Sequence[Path], target: Grid, bands: CommonBands, nodata: float | None) -> dict[str, object]:
    return {
        "version": __version__,
        "inputs": [address_of(path) if is_remote(path) else str(path.resolve()) for path in inputs],
        "input_versions": [scene_version(path) for path in inputs],
        "crs": None if target.crs is None else target.crs.to_wkt(),
        "transform": list(target.transform)[:6],
        "size": [target.height, target.width],
        "bands": [list(indexes) for indexes in bands.indexes],
        "dtype": bands.dtype,
        "nodata": nodata if nodata is None else repr(nodata),
    }


def as_json(record: Mapping[str, object]) -> dict[str, object]:
    """A record as it is read from a JSON file."""
    found: dict[str, object] = json.loads(json.dumps(record))
    return found


def _size(kept: object) -> tuple[int, int] | None:
    if isinstance(kept, list) and len(kept) == 2 and all(isinstance(side, int) and side > 0 for side in kept):
        return kept[0], kept[1]
    return None


def _block_shape(placed: Sequence[Placed], target: Grid, bands: CommonBands, budget: int) -> tuple[int, int]:
    """Height and width of the largest blocks within a budget of bytes.

    Blocks are wide rather than high. If possible, they consist of whole tiles of the inputs.

    Raises:
        ConfigError: The budget is too small for the smallest block.
    """
    size = np.dtype(bands.dtype).itemsize * len(bands.names)

    def bytes_of(height: int, width: int) -> int:
        dates = _most_dates(placed, target, height, width)
        # Memory holds the dates of two blocks (one is read, one is combined), the pixels that each thread reads, and
        # the finished blocks.
        return height * width * (2 * dates * (size + 1) + READERS * 2 * (size + 2) + 3 * (size + 4))

    unit = _tile_of(placed)
    height, width = round_up(target.height, unit), round_up(target.width, unit)
    while bytes_of(height, width) > budget:
        if height > unit:
            height = round_up(height // 2, unit)
        elif width > unit:
            width = round_up(width // 2, unit)
        elif unit > SMALLEST_BLOCK:
            unit = height = width = max(unit // 2, SMALLEST_BLOCK)
        else:
            wanted = (bytes_of(unit, unit) + PROCESS + CACHE) / GIB
            raise ConfigError(
                f"{shown_name(target.path)}: {_most_dates(placed, target, unit, unit)} inputs overlap, which takes "
                f"{wanted:.2g} GiB of memory; raise --memory, or leave inputs out"
            )
    return height, width


def _tile_of(placed: Sequence[Placed]) -> int:
    """Largest tile side of the inputs up to `_LARGEST_TILE`, rounded up to a multiple of `_FEWEST`.

    Longer sides, such as the width of a strip, do not count.
    """
    sides = [_FEWEST]
    for scene in placed:
        with open_raster(scene.grid.path) as dataset:
            sides += [side for side in dataset.block_shapes[0] if side <= _LARGEST_TILE]
    return round_up(max(sides), _FEWEST)


def _most_dates(placed: Sequence[Placed], target: Grid, height: int, width: int) -> int:
    """Largest number of scenes that reach one block."""

    def touched(length: int, side: int, span: Callable[[Placed], tuple[int, int]]) -> npt.NDArray[np.float32]:
        starts = np.arange(0, length, side)[:, None]
        low, high = np.array([span(scene) for scene in placed]).T
        return np.asarray((low < starts + side) & (high > starts), dtype=np.float32)

    rows = touched(target.height, height, lambda scene: _span(scene.window.row_off, scene.window.height))
    columns = touched(target.width, width, lambda scene: _span(scene.window.col_off, scene.window.width))
    return int((rows @ columns.T).max())


def _span(start: int, length: int) -> tuple[int, int]:
    return int(start), int(start + length)
