"""Probability maps of a teacher, matched to the scenes that they were predicted from."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from seg.errors import DatasetError, RasterError
from seg.raster.folder import named_scenes
from seg.raster.grid import Grid, read_grid, require_same_grid
from seg.raster.remote import stem_of

PROBABILITY = "_probability"
"""End of the stem of a probability map that `predict.py` wrote."""


def match_maps(named: Path, grids: Iterable[Grid]) -> dict[Path, Path]:
    """Map of each image: the map with the image's name or, if there is none, the first map on the image's grid.

    Images without a map are left out.

    Args:
        named: A map, a folder, a pattern or a list, as for `named_scenes`. If the names of some rasters end in
            `_probability`, as those of `predict.py` do, all other rasters are left out.
        grids: Grids of the images.

    Raises:
        RasterError: No map is found, or a map cannot be opened.
        DatasetError: A map has the name of an image but another grid.
    """
    paths = list(named_scenes([named]).scenes)
    paths = [path for path in paths if stem_of(path).endswith(PROBABILITY)] or paths
    maps = {stem_of(path).removesuffix(PROBABILITY): read_grid(path) for path in paths}
    found = {}
    for grid in grids:
        match = _match(grid, maps)
        if match is not None:
            found[grid.path] = match
    return found


def require_maps(named: Path, images: Iterable[Path], maps: Mapping[Path, Path]) -> None:
    """Check that each unlabelled image has a map, since training learns from such an image only through its map.

    Args:
        named: The maps as the user named them, for the message.
        images: Images without labels.
        maps: Map of each image.

    Raises:
        DatasetError: An image has no map.
    """
    missing = [image for image in images if image not in maps]
    if missing:
        raise DatasetError(
            f"{missing[0]}: no map in {named} lies on its grid ({len(missing)} such scenes); write one with python "
            "scripts/predict.py, or leave the scene out"
        )


def _match(image: Grid, maps: Mapping[str, Grid]) -> Path | None:
    named = maps.get(stem_of(image.path))
    if named is not None:
        try:
            require_same_grid(named, image)
        except RasterError as error:
            raise DatasetError(str(error)) from error
        return named.path
    if not image.georeferenced:
        return None
    return next((grid.path for grid in maps.values() if grid.georeferenced and _same(grid, image)), None)


def _same(grid: Grid, image: Grid) -> bool:
    try:
        require_same_grid(grid, image)
    except RasterError:
        return False
    return True
