"""Read parcels batch by batch from a file of polygons."""

import json
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from pyproj.exceptions import CRSError

from seg.errors import ConfigError, RasterError, listed
from seg.raster.vectors.features import chosen_layer, quiet_library
from seg.raster.vectors.settings import LAYER

BATCH = 8192
"""Number of parcels in memory at a time."""


class ParcelSource:
    """A file of parcels.

    Args:
        path: Any vector file that GDAL reads, or GeoParquet; `FILE|layername=NAME` for one of several layers.
        columns: Columns to read besides the geometry.

    Attributes:
        path: The file.
        crs: CRS of the parcels.
        count: Number of parcels, or -1 if unknown.

    Raises:
        RasterError: The file cannot be read, or has no CRS.
        ConfigError: The file lacks a column.
    """

    def __init__(self, path: Path, columns: set[str]) -> None:
        name, _, layer = str(path).partition(LAYER)
        self.path, self._columns = Path(name), sorted(columns)
        if not self.path.exists():
            raise RasterError(f"{self.path}: no such file; check the path")
        self._parquet = self.path.suffix.lower() in {".parquet", ".geoparquet"}
        try:
            if self._parquet:
                names, crs = self._open_parquet()
            else:
                self._layer = chosen_layer(self.path, self.path, layer or None, f"{self.path}{LAYER}NAME")
                info = pyogrio.read_info(self.path, layer=self._layer)
                names, crs, self.count = [str(field) for field in info["fields"]], info["crs"], int(info["features"])
            self.crs = CRS.from_user_input(crs)
        except (DataSourceError, DataLayerError, pa.ArrowException, ValueError) as error:
            raise self._unreadable(error) from error
        except CRSError as error:
            raise RasterError(f"{self.path}: has no CRS that PROJ knows; assign one (ogr2ogr -a_srs ...)") from error
        for column in self._columns:
            if column not in names:
                raise ConfigError(
                    f"{self.path}: has no column '{column}', which the template uses; its columns are {listed(names)}; "
                    "polygons.py --attributes adds columns"
                )

    def _open_parquet(self) -> tuple[list[str], object]:
        with pq.ParquetFile(self.path) as file:
            geo = json.loads((file.schema_arrow.metadata or {}).get(b"geo", b"{}"))
            names, self.count = file.schema_arrow.names, file.metadata.num_rows
        self._geometry = str(geo.get("primary_column"))
        if self._geometry not in names:
            raise ValueError("it has no GeoParquet geometry")
        return names, geo["columns"][self._geometry].get("crs", "OGC:CRS84")

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Batches with the requested columns in alphabetical order; the geometry is WKB in the last column, "geometry".

        Raises:
            RasterError: The file cannot be read.
        """
        try:
            if self._parquet:
                with pq.ParquetFile(self.path) as file:
                    for batch in file.iter_batches(BATCH, columns=[*self._columns, self._geometry]):
                        yield self._plain(batch, self._geometry)
                return
            with ExitStack() as opened:
                with quiet_library():
                    meta, reader = opened.enter_context(
                        pyogrio.open_arrow(
                            self.path, layer=self._layer, columns=self._columns, batch_size=BATCH, use_pyarrow=True
                        )
                    )
                for batch in reader:
                    yield self._plain(batch, str(meta["geometry_name"] or "wkb_geometry"))
        except (DataSourceError, DataLayerError, pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def _plain(self, batch: pa.RecordBatch, geometry: str) -> pa.RecordBatch:
        columns = [batch.column(name) for name in (*self._columns, geometry)]
        return pa.record_batch(columns, names=[*self._columns, "geometry"])

    def _unreadable(self, error: Exception) -> RasterError:
        line = " ".join(str(error).split())[:200]
        return RasterError(f"{self.path}: not a readable layer of polygons ({line}); wanted a file of polygons.py")
