"""Design of a sample, stored as JSON beside its points. The estimate needs it; interpreters must not see it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from seg import __version__
from seg.errors import DatasetError
from seg.evaluation.area.population import StratumTally
from seg.files import write_json
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
        OSError: The file cannot be written.
    """
    content = {"format": FORMAT, "software": {"name": "cropland-seg", "version": __version__}}
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
    write_json(content, path)


def read_design(path: Path) -> Design:
    """Read the design of a sample.

    Raises:
        DatasetError: The file is missing, damaged or of another format.
    """
    try:
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise DatasetError(
            f"{path}: no such file; copy the design that `evaluate.py sample` wrote there, or give it with --design"
        ) from error
    except (OSError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: not readable as the design of a sample ({error}); restore the original") from error
    if content.get("format") != FORMAT:
        raise DatasetError(f"{path}: has format {content.get('format')}, wanted {FORMAT}; draw the sample again")
    try:
        return _design(content)
    except (KeyError, TypeError, ValueError, CRSError) as error:
        raise DatasetError(f"{path}: is damaged, {type(error).__name__} at {error}; restore the original") from error


def _design(content: dict[str, Any]) -> Design:
    integers = {name: np.array(content[name], dtype=np.int64) for name in ("ids", "stratum", "row", "column")}
    strata = [StratumTally(**stratum) for stratum in content["strata"]]
    areas = np.array(content["pixel_area_m2"], dtype=np.float64)
    if {len(values) for values in integers.values()} != {len(areas)} or not len(areas):
        raise ValueError("columns of unequal length")
    if not ((integers["stratum"] >= 0) & (integers["stratum"] < len(strata))).all() or not (areas > 0).all():
        raise ValueError("points without a stratum or an area")
    return Design(
        map=str(content["map"]),
        map_sha256=None if content["map_sha256"] is None else str(content["map_sha256"]),
        grid=_grid(Path(content["map"]), **content["grid"]),
        settings=dict(content["settings"]),
        classes={int(label): str(name) for label, name in content["classes"].items()},
        strata=strata,
        pixel_area_m2=areas,
        **integers,
    )


def _grid(path: Path, height: int, width: int, crs: str, transform: Sequence[float]) -> Grid:
    return Grid(path, int(height), int(width), 1, CRS.from_wkt(crs), Affine(*transform), None, "uint8")
