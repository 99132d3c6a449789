"""Convert a class map to a file of parcels: read blocks, join parts across seams, select, simplify, write."""

import sqlite3
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from seg.errors import ConfigError
from seg.files import work_folder, writing
from seg.parcels.attributes import Attributes
from seg.parcels.formats import COLUMNS, ParcelTable, require_own_table, write_table
from seg.parcels.joining import Joining
from seg.parcels.pieces import joined
from seg.parcels.read_block import BlockParcels, MapReader
from seg.parcels.selection import Parcels, selected
from seg.parcels.settings import PolygonSettings
from seg.parcels.spool import Spool
from seg.parcels.vector_files import Layer, format_of, layer_name, put_vector_in_place, require_vector_output
from seg.raster.chips import Polygons
from seg.raster.grid import Grid, read_grid, require_same_grid
from seg.raster.ground.distances import ground_pixel
from seg.raster.ground.outlines import GroundMeasure
from seg.raster.sources import require_apart
from seg.raster.windows import Block, plan_blocks

Item = TypeVar("Item")
Result = TypeVar("Result")

HALVINGS = 5
"""Largest number of times that the tolerance of a unit is halved. If the simplified unit still meets another unit then,
it keeps its original outlines."""

Advance = Callable[[int, int], None]
"""Function called with the number of finished blocks and the number of all blocks."""


@dataclass(frozen=True)
class ParcelFile:
    """A file of parcels.

    Attributes:
        path: The file.
        parcels: Number of parcels.
        hectares: Total area of the parcels.
    """

    path: Path
    parcels: int
    hectares: float


def write_parcels(
    input: Path, output: Path, settings: PolygonSettings, advance: Advance = lambda done, total: None
) -> ParcelFile:
    """Convert a class map to parcels, block by block.

    Args:
        input: The class map: 0 other, 1 cropland, 255 nodata.
        output: The file to write, atomically; its suffix is one of `seg.parcels.vector_files.FORMATS`.
        settings: Sizes, splitting and simplification of parcels.
        advance: Called after each block.

    Raises:
        RasterError: A raster cannot be read, the class map has no CRS, or the rasters have different grids.
        WriteError: The output cannot be written.
        ClaimError: Another process writes the output.
        ConfigError: The output has an unknown suffix, its folder is missing, or it is one of the inputs; the CRS is
            unknown, or the parcels do not fit into a shapefile.
    """
    grid, ground, table = _opened(input, output, settings)
    boxes = settings.simplify > 0 or settings.min_hole_m2 > 0
    with (
        work_folder(output) as folder,
        writing(output, sqlite3.Error),
        Spool.opened(folder / "spool.sqlite", grid.width, boxes) as spool,
    ):
        for parcels in _parcels(grid, settings, ground, advance):
            spool.add(parcels)
        if settings.min_hole_m2 > 0:
            spool.drop_filled()
        if settings.simplify > 0:
            simplify_spooled(spool, settings.simplify, ground_pixel(grid) or grid.pixel_size[::-1], ground)
        totals = _Totals()
        finished = folder / output.name
        rows = ordered_map(table.batch, spool.in_order(), settings.threads)
        layer = Layer(layer_name(output), table.schema, table.crs, settings.encoding or "utf-8")
        write_table(finished, layer, totals.counted(rows))
        put_vector_in_place(finished, output)
    return ParcelFile(output, totals.parcels, totals.hectares)


def _opened(input: Path, output: Path, settings: PolygonSettings) -> tuple[Grid, GroundMeasure, ParcelTable]:
    """Check inputs and output; return the grid of the map, the measure of its areas and the columns of the output."""
    kind = format_of(output)
    if settings.encoding is not None and kind != "ESRI Shapefile":
        raise ConfigError(f"--encoding is {settings.encoding}, but {output} has no encoding; only a .shp has one")
    grid = read_grid(input)
    rasters = [grid, *(read_grid(path) for path in (settings.interior, settings.probability) if path is not None)]
    for other in rasters[1:]:
        require_same_grid(other, grid)
    require_vector_output(output)
    attributes = None if settings.attributes is None else Attributes(settings.attributes)
    require_apart([output], [*(raster.path for raster in rasters), settings.attributes])
    ground = GroundMeasure(grid)
    table = ParcelTable(grid, kind, settings.probability is not None, settings.crs, attributes)
    added = () if attributes is None else attributes.table.column_names
    require_own_table(output, layer_name(output), (*COLUMNS, *added))
    return grid, ground, table


@dataclass
class _Totals:
    parcels: int = 0
    hectares: float = 0.0

    def counted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches unchanged and add up their parcels and areas."""
        for batch in batches:
            self.parcels += batch.num_rows
            self.hectares += pc.sum(batch["area"]).as_py()
            yield batch


def _parcels(grid: Grid, settings: PolygonSettings, ground: GroundMeasure, advance: Advance) -> Iterator[Parcels]:
    """All parcels of the map, in the order in which they are completed."""
    reader = MapReader(grid, settings)
    joining = Joining(grid.width, reader.by_cluster)
    blocks = plan_blocks(grid.height, grid.width, settings.block_size, reader.halo)

    def read_block(block: Block) -> tuple[BlockParcels, Parcels]:
        seen = reader.read(block)
        return seen, selected(joined([seen.whole]), grid.width, ground, settings)

    for done, (seen, parcels) in enumerate(ordered_map(read_block, blocks, settings.threads), start=1):
        yield parcels
        joining.add(seen)
        if seen.block.core.col_off + seen.block.core.width == grid.width:
            last = seen.block.core.row_off + seen.block.core.height == grid.height
            whole = joining.end_row(last)
            if whole is not None:
                yield selected(whole, grid.width, ground, settings)
        advance(done, len(blocks))


def simplify_spooled(spool: Spool, tolerance_m: float, pixel_m: tuple[float, float], ground: GroundMeasure) -> None:
    """Simplify the parcels of a spool; neighbours keep common edges, and parcels do not overlap.

    Parcels that share an edge or a corner form a unit. They are simplified together (`shapely.coverage_simplify`), so
    that shared edges stay shared. Two simplified units do not overlap if each of them is apart from the original
    outline of the other unit. Proof: if edges of both units crossed, an end of one edge would lie in the area that the
    other unit gained; but simplification does not move the ends of edges. Each simplified unit is therefore compared
    with the original outlines of the other units. While the simplified unit intersects such an outline, it is
    simplified again with half the tolerance. The result depends only on the map.

    Args:
        spool: Spool that was opened with boxes; its units are clusters of touching parcels.
        tolerance_m: Tolerance in metres; removing a vertex changes an area of at most the tolerance squared.
        pixel_m: Height and width of a pixel in metres.
        ground: Measure of areas and lengths on the ground.
    """
    for unit, first_pixels, polygons in spool.units():
        for halving in range(HALVINGS + 1):
            simpler = simplified(polygons, tolerance_m / 2**halving, pixel_m)
            if not any(_meets_others(spool, unit, polygon) for polygon in simpler):
                spool.put_simplified(first_pixels, simpler, ground.polygons(simpler))
                break


def simplified(polygons: Polygons, tolerance_m: float, pixel_m: tuple[float, float]) -> Polygons:
    """Simplify polygons so that neighbours keep common edges.

    Args:
        polygons: (P,) on the pixel lattice, a valid coverage.
        tolerance_m: Tolerance in metres, as in `simplify_spooled`.
        pixel_m: Height and width of a pixel in metres.
    """
    scale = np.array(pixel_m[::-1])
    in_metres = shapely.transform(polygons, lambda lattice: lattice * scale)
    simpler = shapely.coverage_simplify(in_metres, tolerance_m)
    on_lattice: Polygons = shapely.transform(simpler, lambda metres: np.rint(metres / scale))
    return on_lattice


def _meets_others(spool: Spool, unit: int, polygon: shapely.Polygon) -> bool:
    shapely.prepare(polygon)
    return any(shapely.intersects(polygon, others).any() for others in spool.others_near(unit, polygon))


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> Generator[Result, None, None]:
    """Results of a function computed in threads, in the order of the items.

    To limit memory, at most `threads` + 1 items are started before their results are taken.

    Args:
        function: The function; the threads call it.
        items: The items; the calling thread takes them one by one.
        threads: Number of threads.
    """
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[Result]] = deque()
        try:
            for item in items:
                begun.append(pool.submit(function, item))
                if len(begun) > threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
