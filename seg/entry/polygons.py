"""Turn a class map into parcels: the command `polygons`."""

from collections.abc import Sequence
from pathlib import Path

from seg.parcels.settings import PolygonSettings
from seg.raster.gdal_options import gdal_options
from seg.terminal.command_line import run_command
from seg.terminal.progress import progress_bar
from seg.terminal.text import counted


def polygons(*, input: Path, output: Path, settings: PolygonSettings) -> None:
    """Write the parcels of a class map with their areas in hectares and perimeters in metres.

    Args:
        input: The class map: 0 other, 1 cropland, 255 nodata.
        output: The file to write: .gpkg (GeoPackage), .parquet (GeoParquet) or .geojson (GeoJSON, in WGS 84).
        settings: Sizes, splitting and simplification of parcels.
    """
    from seg.parcels.write_parcels import write_parcels

    with progress_bar(input.name) as bar:
        written = write_parcels(input, output, settings, bar.move)
    print(f"{output}: {counted(written.parcels, 'parcel')}, {written.hectares:.2f} ha")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command line.

    Args:
        arguments: Its words; those of the process by default.
    """
    return run_command(polygons, arguments, within=gdal_options)
