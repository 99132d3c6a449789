"""Design of a sample, stored as JSON beside its points. Interpreters must not see the design."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from seg import __version__
from seg.errors import DatasetError
from seg.evaluation.area.population import StratumTally
from seg.evaluation.plain_values import from_plain
from seg.files import read_json, write_json
from seg.raster.grid import Grid

FORMAT = 1


@dataclass(frozen=True)
class Design:
    """Design of a drawn sample.

    Attributes:
        map: Path of the class map, as given by the user.
        map_sha256: SHA-256 of the map's file; None for a map on a server.
        grid: Grid of the map.
        settings: Options of the draw by name.
        classes: Names of the map's classes by value.
        strata: All strata of the map.
        ids: (N,) number of each point.
        stratum: (N,) index of each point's stratum.
        row: (N,) row of each pixel, from 0.
        column: (N,) column of each pixel, from 0.
        pixel_area_m2: (N,) ground area of each pixel.
    """

    map: str
    map_sha256: str | None
    grid: Grid
    settings: dict[str, object]
    classes: dict[int, str]
    strata: Sequence[StratumTally]
    ids: NDArray[np.int64]
    stratum: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    pixel_area_m2: NDArray[np.float64]


def design_path(points: Path) -> Path:
    """Path of the design of a file of points: `points.design.json` beside `points.gpkg` or `points.csv`."""
    return points.with_suffix(".design.json")


def write_design(design: Design, path: Path) -> None:
    """Write a design as JSON, atomically.

    Raises:
        WriteError: The file cannot be written.
    """
    write_json(_content(design), path)


def is_design(design: Design, path: Path) -> bool:
    """True if a file holds the same design. A run that was killed before writing the points leaves such a file."""
    try:
        return bool(read_json(path) == json.loads(json.dumps(_content(design))))
    except (OSError, ValueError):
        return False


def _content(design: Design) -> dict[str, object]:
    content: dict[str, object] = {"format": FORMAT, "software": {"name": "cropland-seg", "version": __version__}}
    content |= {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in vars(design).items()
        if name not in ("strata", "grid")
    }
    content["strata"] = [asdict(stratum) for stratum in design.strata]
    grid = design.grid
    content["grid"] = {
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs.to_wkt() if grid.crs is not None else None,
        "transform": list(grid.transform)[:6],
    }
    return content


def read_design(path: Path) -> Design:
    """Read the design of a sample.

    Raises:
        DatasetError: The file is missing, damaged or of another format.
    """
    try:
        content = read_json(path)
    except FileNotFoundError as error:
        raise DatasetError(
            f"{path}: no such file; copy the design that `evaluate.py sample` wrote to this path, or name the file of "
            "the design with --design"
        ) from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: not readable as the design of a sample ({error}); restore the original") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise DatasetError(f"{path}: has format {str(found)[:20]}, wanted {FORMAT}; draw the sample again")
    try:
        stored = from_plain(_Stored, content)
        grid = _grid(Path(stored.map), stored.grid)
    except (ValueError, CRSError) as error:
        raise DatasetError(f"{path}: is damaged: {error}; restore the original") from error
    return Design(
        map=stored.map,
        map_sha256=stored.map_sha256,
        grid=grid,
        settings=stored.settings,
        classes={int(label): name for label, name in stored.classes.items()},
        strata=stored.strata,
        pixel_area_m2=np.array(stored.pixel_area_m2, dtype=np.float64),
        **{name: np.array(getattr(stored, name), dtype=np.int64) for name in _COLUMNS},
    )


_COLUMNS = ("ids", "stratum", "row", "column")
"""Fields that hold one whole number for each point."""


@dataclass(frozen=True)
class _StoredGrid:
    height: int
    width: int
    crs: str
    transform: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or len(self.transform) != 6:
            raise ValueError("grid has no size, or its transform does not have 6 numbers")


@dataclass(frozen=True)
class _Stored:
    """Layout of the JSON file."""

    map: str
    map_sha256: str | None
    grid: _StoredGrid
    settings: dict[str, object]
    classes: dict[str, str]
    strata: tuple[StratumTally, ...]
    ids: tuple[int, ...]
    stratum: tuple[int, ...]
    row: tuple[int, ...]
    column: tuple[int, ...]
    pixel_area_m2: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in (*_COLUMNS, "pixel_area_m2")}
        labels = {str(one.label) for one in self.strata}
        if len(lengths) != 1 or not self.ids or len(set(self.ids)) < len(self.ids):
            raise ValueError("columns of unequal length, no points, or an id twice")
        if not _within(self.stratum, len(self.strata)) or min(self.pixel_area_m2) <= 0:
            raise ValueError("points without a stratum or an area")
        if any(one.pixels < 1 or one.area_ha <= 0 for one in self.strata) or not labels <= self.classes.keys():
            raise ValueError("strata without pixels, an area or a class")
        if not all(label.isdecimal() for label in self.classes):
            raise ValueError("classes that are no numbers")
        if not _within(self.row, self.grid.height) or not _within(self.column, self.grid.width):
            raise ValueError("points outside the grid")


def _within(numbers: Sequence[int], end: int) -> bool:
    return min(numbers) >= 0 and max(numbers) < end


def _grid(path: Path, stored: _StoredGrid) -> Grid:
    place = CRS.from_wkt(stored.crs), Affine(*stored.transform)
    return Grid(path, stored.height, stored.width, 1, *place, None, "uint8")
