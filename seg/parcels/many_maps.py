"""Parcels of many class maps, with one output file for each map."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seg.errors import ConfigError, RasterError
from seg.files import make_output_folder
from seg.parcels.settings import PolygonSettings
from seg.parcels.write_parcels import ParcelFile, write_parcels

SUFFIX = ".gpkg"
"""Suffix of the files for many maps."""

BESIDE = ("_probability", "_uncertainty", "_screened", "_features", "_distance")
"""Endings of the names of other rasters that predict.py writes beside a class map."""


@dataclass(frozen=True)
class MapParcels:
    """A class map and the file for its parcels.

    Attributes:
        map: The class map.
        output: The file to write.
    """

    map: Path
    output: Path


def parcel_files(rasters: Sequence[Path], folder: Path, settings: PolygonSettings) -> list[MapParcels]:
    """Find the class maps among rasters, and name an output file for each: the stem of the map, in the folder.

    Rasters that predict.py writes beside a class map are left out. A missing folder is made.

    Args:
        rasters: Rasters of a folder, a pattern or a list.
        folder: Folder for the files.
        settings: Options of the conversion.

    Raises:
        ConfigError: The settings name a probability map or an interior map, which belongs to a single map; two maps
            have the same stem; or the folder cannot be made.
        RasterError: No raster is a class map.
    """
    for option, path in (("probability", settings.probability), ("interior", settings.interior)):
        if path is not None:
            raise ConfigError(f"--{option} is {path}, the raster of a single map; convert the maps one by one")
    stems = {path.stem for path in rasters}
    maps = [path for path in rasters if not _lies_beside_a_map(path, stems)]
    if not maps:
        raise RasterError(f"{rasters[0].parent}: holds no class map; name the maps")
    makers: dict[str, Path] = {}
    for path in maps:
        if path.stem in makers:
            raise ConfigError(f"{path}: has the same stem as {makers[path.stem]}; convert them into different folders")
        makers[path.stem] = path
    make_output_folder(folder)
    return [MapParcels(path, folder / f"{path.stem}{SUFFIX}") for path in maps]


def write_map_parcels(job: MapParcels, settings: PolygonSettings) -> ParcelFile:
    """Write the parcels of one map.

    Args:
        job: The map and the file.
        settings: Options of the conversion.
    """
    return write_parcels(job.map, job.output, settings)


def _lies_beside_a_map(path: Path, stems: set[str]) -> bool:
    return any(path.stem.endswith(end) and path.stem.removesuffix(end) in stems for end in BESIDE)
