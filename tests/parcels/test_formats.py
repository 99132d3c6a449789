import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from rasterio.crs import CRS

from seg.errors import RasterError, WriteError
from seg.parcels.formats import ParcelTable, write_table
from seg.parcels.spool import SpooledParcels
from seg.parcels.vector_files import Layer, format_of
from seg.raster.grid import Grid
from support.parcel_maps import TRANSFORM

PARCELS = SpooledParcels(
    polygons=np.array([shapely.box(0, 0, 2, 1), shapely.box(3, 4, 4, 6)]),
    first_pixels=np.array([0, 4 * 10 + 3]),
    sizes=np.array([[200.0, 60.0], [200.0, 60.0]]),
    tallies=np.array([[2, 150, 1], [0, 0, 0]]),
)


def table_of(output: Path, probability: bool = False) -> ParcelTable:
    grid = Grid(Path("map.tif"), 10, 10, 1, CRS.from_epsg(32633), TRANSFORM, 255, "uint8")
    return ParcelTable(grid, format_of(output), probability)


def test_geoparquet_describes_its_geometry(tmp_path: Path) -> None:
    output = tmp_path / "parcels.parquet"
    table = table_of(output, probability=True)
    write_table(output, Layer("parcels", table.schema, table.crs), [table.batch(PARCELS)])
    stored = pq.read_table(output)
    geo = json.loads(stored.schema.metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    column = geo["columns"]["geometry"]
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Polygon"])
    assert column["orientation"] == "counterclockwise"
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 32633}
    assert stored.drop(["geometry"]).to_pydict() == {
        "id": ["r0c0", "r4c3"],
        "area": [0.02, 0.02],
        "perimeter": [60.0, 60.0],
        "mean_probability": [0.75, None],
        "uncertain_share": [0.5, None],
    }


@pytest.mark.parametrize("name", ["parcels.gpkg", "parcels.geojson", "parcels.parquet"])
def test_an_error_from_the_iterator_of_rows_is_raised(tmp_path: Path, name: str) -> None:
    table = table_of(tmp_path / name)

    def rows() -> Iterator[pa.RecordBatch]:
        yield table.batch(PARCELS)
        raise RasterError("map.tif: is damaged")

    with pytest.raises(RasterError, match=r"map\.tif: is damaged"):
        write_table(tmp_path / name, Layer("parcels", table.schema, table.crs), rows())


def test_a_file_that_cannot_be_written_is_named_in_the_error(tmp_path: Path) -> None:
    output = tmp_path / "nowhere" / "parcels.gpkg"
    table = table_of(output)
    with pytest.raises(WriteError, match=r"parcels\.gpkg: cannot be written"):
        write_table(output, Layer("parcels", table.schema, table.crs), [table.batch(PARCELS)])
