"""Choose the same bands in all scenes of a composite, and check that their types, scales and units are equal."""

from collections.abc import Sequence
from dataclasses import dataclass

from seg.errors import RasterError, listed
from seg.raster.grid import Grid, band_texts, open_raster
from seg.raster.remote import shown_name
from seg.terminal.text import counted


@dataclass(frozen=True)
class CommonBands:
    """Bands of a composite.

    Attributes:
        indexes: 1-based bands of each scene, in the same order in all scenes.
        names: Name of each band in the first scene; empty where it has none.
        dtype: Data type of all bands.
        scaling: Scale and offset of each band; () if the scenes state none.
        units: Unit of each band; () if the scenes state none.
    """

    indexes: Sequence[Sequence[int]]
    names: tuple[str, ...]
    dtype: str
    scaling: tuple[tuple[float, float], ...]
    units: tuple[str, ...]


def common_bands(grids: Sequence[Grid], wanted: Sequence[int | str] | None) -> CommonBands:
    """Find the bands of a composite in each scene, by name if the bands have names, or else by order.

    Args:
        grids: The scenes; the first one determines order and names.
        wanted: Names or 1-based indexes; None for all bands except alpha.

    Raises:
        RasterError: A scene lacks a band, or differs from the first scene in data type, scale, offset or unit.
    """
    first = grids[0]
    indexes = [_wanted(grid, wanted) if wanted else _like(grid, first) for grid in grids]
    described = [_described(grid, bands) for grid, bands in zip(grids, indexes, strict=True)]
    for grid, found in zip(grids, described, strict=True):
        for what, values in found.items():
            _require_equal(what, (grid, values), (first, described[0][what]))
    dtypes = set(described[0]["data type"])
    if len(dtypes) > 1:
        raise RasterError(
            f"{shown_name(first.path)}: its bands hold {' and '.join(sorted(dtypes))}; wanted one data type: convert "
            "it (gdal_translate -ot), or choose bands with --bands"
        )
    scaling = tuple(first.scaling[band - 1] for band in indexes[0]) if first.scaling else ()
    with open_raster(first.path) as dataset:
        units = tuple(band_texts(dataset, "units")[band - 1] for band in indexes[0])
    names = tuple(first.band_names[band - 1] if first.band_names else "" for band in indexes[0])
    return CommonBands(indexes, names, dtypes.pop(), scaling, units if any(units) else ())


def _wanted(grid: Grid, wanted: Sequence[int | str]) -> list[int]:
    found = []
    names = [_plain(name) for name in grid.band_names]
    for band in wanted:
        if isinstance(band, str) and names.count(_plain(band)) != 1:
            named = listed([name for name in grid.band_names if name])
            known = f"its bands are {named}" if named else "its bands have no names"
            raise RasterError(f"{shown_name(grid.path)}: has no band {band}, or several with this name; {known}")
        index = names.index(_plain(band)) + 1 if isinstance(band, str) else band
        if not 1 <= index <= grid.bands:
            raise RasterError(f"{shown_name(grid.path)}: has no band {band}; wanted 1 to {grid.bands}")
        found.append(index)
    return found


def _like(grid: Grid, first: Grid) -> list[int]:
    """Bands of a scene that match the first scene's bands: by name, or by order if one of the scenes has no names."""
    bands = first.data_bands
    names = [_plain(name) for name in first.band_names]
    if all(names) and names and grid.band_names:
        found = [_plain(name) for name in grid.band_names]
        if all(found.count(names[band - 1]) == 1 for band in bands):
            return [found.index(names[band - 1]) + 1 for band in bands]
        raise _other_bands(grid, first)
    if len(grid.data_bands) != len(bands):
        raise _other_bands(grid, first)
    return grid.data_bands


def _other_bands(grid: Grid, first: Grid) -> RasterError:
    return RasterError(
        f"{shown_name(grid.path)}: has {_shown(grid)}, but {shown_name(first.path)} has {_shown(first)}; choose bands "
        "that all inputs have with --bands"
    )


def _shown(grid: Grid) -> str:
    names = [grid.band_names[band - 1] for band in grid.data_bands] if grid.band_names else []
    return f"the bands {listed(names)}" if any(names) else counted(len(grid.data_bands), "band")


def _described(grid: Grid, bands: Sequence[int]) -> dict[str, list[str]]:
    """Data type, scaling and unit of each band, as text."""
    with open_raster(grid.path) as dataset:
        dtypes = [str(dataset.dtypes[band - 1]) for band in bands]
        units = [band_texts(dataset, "units")[band - 1] or "not stated" for band in bands]
    scaling = [grid.scaling[band - 1] for band in bands] if grid.scaling else [(1.0, 0.0)] * len(bands)
    shown = [f"{scale:g} and {offset:g}" for scale, offset in scaling]
    return {"data type": dtypes, "scale and offset": shown, "unit": units}


def _require_equal(what: str, one: tuple[Grid, list[str]], other: tuple[Grid, list[str]]) -> None:
    if one[1] == other[1]:
        return
    value, reference = next((a, b) for a, b in zip(one[1], other[1], strict=True) if a != b)
    raise RasterError(
        f"{shown_name(one[0].path)}: its {what} is {value}, but {shown_name(other[0].path)} has {reference}; convert "
        f"all inputs to the same {what}, or leave one out"
    )


def _plain(name: str) -> str:
    return name.strip().casefold()
