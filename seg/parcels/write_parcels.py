"""A class map into a file of parcels."""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from seg.errors import RasterError
from seg.files import complete_or_absent
from seg.parcels.formats import ParcelTable, format_of, write_table
from seg.parcels.joining import Joining
from seg.parcels.pieces import joined
from seg.parcels.read_block import BlockParcels, MapReader
from seg.parcels.selection import Parcels, selected
from seg.parcels.settings import PolygonSettings
from seg.parcels.simplify import simplify_spooled
from seg.parcels.spool import Spool
from seg.raster.grid import Grid, read_grid, require_same_grid
from seg.raster.ground.distances import ground_pixel
from seg.raster.ground.outlines import GroundMeasure
from seg.raster.windows import Block, plan_blocks
from seg.terminal.progress import with_progress


@dataclass(frozen=True)
class ParcelFile:
    """What came of a map.

    Attributes:
        path: The file of parcels.
        parcels: How many there are.
        hectares: Their area.
    """

    path: Path
    parcels: int
    hectares: float


def write_parcels(input: Path, output: Path, settings: PolygonSettings) -> ParcelFile:
    """Turn a class map into parcels, block by block, with a progress bar on a terminal.

    Args:
        input: The class map: 0 other, 1 cropland, 255 nodata.
        output: The file to write, .gpkg, .parquet or .geojson; it appears when it is complete.
        settings: How it is done.

    Raises:
        RasterError: A raster cannot be read, does not fit the others or has no CRS, or the output cannot be written.
        ConfigError: The output's name is of no known format.
    """
    kind = format_of(output)
    grid = read_grid(input)
    rasters = [grid, *(read_grid(path) for path in (settings.interior, settings.probability) if path is not None)]
    for other in rasters[1:]:
        require_same_grid(other, grid)
    _require_writable(output, rasters)
    ground = GroundMeasure(grid)
    table = ParcelTable(grid, kind, settings.probability is not None)
    boxes = settings.simplify > 0 or settings.min_hole_m2 > 0
    with _work_folder(output) as folder, Spool.opened(folder / "spool.sqlite", grid.width, boxes) as spool:
        for parcels in _parcels(grid, settings, ground):
            spool.add(parcels)
        if settings.min_hole_m2 > 0:
            spool.drop_what_was_filled()
        if settings.simplify > 0:
            simplify_spooled(spool, settings.simplify, ground_pixel(grid) or grid.pixel_size[::-1], ground)
        count, hectares = 0, 0.0

        def counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            nonlocal count, hectares
            for batch in batches:
                count += batch.num_rows
                hectares += pc.sum(batch["area"]).as_py()
                yield batch

        finished = folder / output.name
        write_table(finished, output.stem, table, counted(ordered_map(table.batch, spool.in_order(), settings.threads)))
        with complete_or_absent(output) as temporary:
            finished.replace(temporary)
    return ParcelFile(output, count, hectares)


def write_parcels_with_summary(input: Path, output: Path, settings: PolygonSettings) -> None:
    """The same, and a line that says what was written."""
    written = write_parcels(input, output, settings)
    parcels = "parcel" if written.parcels == 1 else "parcels"
    print(f"{written.path}: {written.parcels} {parcels}, {written.hectares:.2f} ha")


def _parcels(grid: Grid, settings: PolygonSettings, ground: GroundMeasure) -> Iterator[Parcels]:
    """All parcels of the map, in the order in which they become whole."""
    reader, joining = MapReader(grid, settings), Joining(grid.width, MapReader(grid, settings).by_cluster)
    blocks = plan_blocks(grid.height, grid.width, settings.block_size, reader.halo)

    def look(block: Block) -> tuple[BlockParcels, Parcels]:
        seen = reader.read(block)
        return seen, selected(joined([seen.whole]), grid.width, ground, settings)

    for seen, parcels in with_progress(ordered_map(look, blocks, settings.threads), grid.path.name, len(blocks)):
        yield parcels
        joining.add(seen)
        if seen.block.core.col_off + seen.block.core.width == grid.width:
            last = seen.block.core.row_off + seen.block.core.height == grid.height
            whole = joining.end_row(last)
            if whole is not None:
                yield selected(whole, grid.width, ground, settings)


def _require_writable(output: Path, rasters: list[Grid]) -> None:
    if not output.parent.is_dir():
        raise RasterError(f"{output}: its folder {output.parent} does not exist; make it or name another output")
    if not os.access(output.parent, os.W_OK):
        raise RasterError(f"{output}: its folder {output.parent} cannot be written; name another output")
    if output.is_dir():
        raise RasterError(f"{output}: is a folder; name a file")
    if output.exists() and any(raster.path.exists() and output.samefile(raster.path) for raster in rasters):
        raise RasterError(f"{output}: is an input itself, which the parcels would replace; name another output")


@contextmanager
def _work_folder(output: Path) -> Iterator[Path]:
    """A hidden folder beside the output, so that what is finished there can be renamed into place."""
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", suffix=".partial", dir=output.parent) as folder:
        yield Path(folder)


Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """The results of a function, in order; at most one more than there are threads is begun ahead of them.

    Args:
        function: Called in any thread.
        items: Taken in this thread, one by one.
        threads: How many work.
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
