"""Read vector labels of any format that GDAL knows: which features there are, and the label of each."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pyarrow
import pyogrio
import pyproj
from pyogrio.errors import DataLayerError, DataSourceError

from seg.errors import RasterError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.chips import ByteMask

NAMED = 8
"""An error names at most so many columns or values: a register has hundreds of crops."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Legend:
    """Which features are cropland, and which have no label; all others are other. By default all are cropland.

    Attributes:
        column: The column that tells the classes, or None.
        cropland: Its values that are cropland, as text.
        ignore: Its values that mean no label; a feature without a value has none either.
        cropland_where: SQL condition of cropland, where no column is given.
        ignore_where: SQL condition of no label.
    """

    column: str | None = None
    cropland: Sequence[str] = ()
    ignore: Sequence[str] = ()
    cropland_where: str | None = None
    ignore_where: str | None = None


class VectorLabels:
    """The features of one layer of a vector file.

    Args:
        path: Any vector file that GDAL reads, or GeoParquet.
        layer: The layer; None for the only one.
        where: SQL condition that features must meet, or None.
        legend: What their attributes mean.
        options: How the options that name layer and columns are written, for errors; {} stands for the word.

    Raises:
        RasterError: The file cannot be read, has no such layer or column, states no CRS, or no feature meets the
            condition or has a value that the legend names.
    """

    def __init__(
        self,
        path: Path,
        layer: str | None = None,
        where: str | None = None,
        legend: Legend | None = None,
        options: str = "--{}",
    ) -> None:
        self.path = path
        self.options = options
        self.legend = legend or Legend()
        self._where = where
        self._source = _source(path)
        self._layer = _chosen_layer(path, self._source, layer, options.format("layer"))
        try:
            info = pyogrio.read_info(self._source, layer=self._layer)
        except (DataSourceError, DataLayerError) as error:
            raise _unreadable(path, error) from error
        self._columns = [str(name) for name in info["fields"]]
        self.crs = _crs(path, info["crs"])
        self.unused = self._check()

    def features(self, box: Box | None) -> tuple[geopandas.GeoDataFrame, ByteMask]:
        """The features that meet a box, and the label of each; those without a geometry are left out.

        Args:
            box: Left, bottom, right, top in the layer's CRS; None for all.
        """
        legend = self.legend
        frame = self._read(self._where, [legend.column] if legend.column else [], box)
        frame = frame[frame.geometry.notna() & ~frame.geometry.is_empty]
        if legend.column:
            return frame, np.array([self._label(text) for text in _texts(frame[legend.column])], dtype=np.uint8)
        labels = np.full(len(frame), CROPLAND, dtype=np.uint8)
        if legend.cropland_where is not None:
            labels[~frame.index.isin(self._read(legend.cropland_where, [], box).index)] = OTHER
        if legend.ignore_where is not None:
            labels[frame.index.isin(self._read(legend.ignore_where, [], box).index)] = IGNORE
        return frame, labels

    def _check(self) -> list[str]:
        """The values of the legend that no feature has, after checking what it asks for."""
        column = self.legend.column
        present = [] if column is None else self._values(column, self.options.format("column"))
        for condition in (self._where, self.legend.cropland_where, self.legend.ignore_where):
            if condition is not None and not len(self._read(condition, [])):
                raise RasterError(
                    f"{self.path}: no feature meets the condition '{condition}'; its columns are "
                    f"{_named(self._columns)}"
                )
        if column is None:
            return []
        if not set(present) & set(self.legend.cropland):
            raise RasterError(
                f"{self.path}: column '{column}' has none of the values {_named(self.legend.cropland)}; "
                f"wanted some of {_named(present)} for {self.options.format('cropland')}"
            )
        return [value for value in (*self.legend.cropland, *self.legend.ignore) if value not in present]

    def _values(self, column: str, option: str) -> list[str]:
        """The values of a column that an option names, as text, sorted."""
        if column not in self._columns:
            raise RasterError(
                f"{self.path}: has no column '{column}'; wanted one of {_named(self._columns)} for {option}"
            )
        return sorted({text for text in _texts(self._read(None, [column], geometry=False)[column]) if text is not None})

    def _label(self, text: str | None) -> int:
        if text is None or text in self.legend.ignore:
            return IGNORE
        return CROPLAND if text in self.legend.cropland else OTHER

    def _read(
        self, where: str | None, columns: list[str], box: Box | None = None, geometry: bool = True
    ) -> geopandas.GeoDataFrame:
        # Many formats find no feature where the condition asks for a column that is not read (GDAL ignores it).
        asked = [name for name in self._columns if where is not None and name.lower() in where.lower()]
        try:
            return pyogrio.read_dataframe(
                self._source,
                layer=self._layer,
                where=where,
                columns=[*columns, *asked],
                bbox=box,
                fid_as_index=True,
                on_invalid="fix",
                read_geometry=geometry,
            )
        except (DataSourceError, DataLayerError, ValueError) as error:
            if where is None:
                raise _unreadable(self.path, error) from error
            raise RasterError(
                f"{self.path}: cannot filter by '{where}' ({_line(error)}); wanted an SQL condition like "
                f"\"crop = 'wheat'\"; its columns are {_named(self._columns)}"
            ) from error


def _source(path: Path) -> Path | bytes:
    """What pyogrio opens: the file, or GeoParquet as FlatGeobuf, since its GDAL is often built without Parquet."""
    if not path.exists():
        raise RasterError(f"{path}: no such file; check the path")
    if path.suffix.lower() not in {".parquet", ".geoparquet"}:
        return path
    try:
        frame = geopandas.read_parquet(path)
        content = io.BytesIO()
        # A spatial index would sort the features, and has no place for one without a geometry.
        pyogrio.write_dataframe(frame, content, driver="FlatGeobuf", layer=path.stem, spatial_index="NO")
    except (pyarrow.ArrowException, DataSourceError, DataLayerError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from error
    return content.getvalue()


def _chosen_layer(path: Path, source: Path | bytes, wanted: str | None, option: str) -> str:
    try:
        layers = [str(name) for name, kind in pyogrio.list_layers(source) if kind is not None]
    except (DataSourceError, DataLayerError) as error:
        raise _unreadable(path, error) from error
    if not layers:
        raise RasterError(f"{path}: holds no layer with geometries; wanted polygons")
    if wanted is None and len(layers) > 1:
        raise RasterError(f"{path}: has {len(layers)} layers, {_named(layers)}; choose one with {option}")
    if wanted is not None and wanted not in layers:
        raise RasterError(f"{path}: has no layer '{wanted}' of geometries; wanted one of {_named(layers)} for {option}")
    return layers[0] if wanted is None else wanted


def _crs(path: Path, text: str | None) -> pyproj.CRS:
    if not text:
        raise RasterError(
            f"{path}: states no CRS, so where its polygons lie is unknown; assign the right one first, "
            "such as: ogr2ogr -a_srs EPSG:4326 OUT.gpkg IN (a shapefile needs its .prj beside it)"
        )
    try:
        return pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError as error:
        raise RasterError(
            f"{path}: its CRS is not understood ({_line(error)}); assign one with an EPSG code"
        ) from error


def _texts(values: Sequence[object]) -> list[str | None]:
    """Attribute values as text; None where there is none. A column of whole numbers with gaps is stored as floats."""
    texts: list[str | None] = []
    for value in values:
        if isinstance(value, float):
            texts.append(None if math.isnan(value) else str(int(value)) if value.is_integer() else str(value))
        else:
            texts.append(None if value is None or value != value else str(value))
    return texts


def _named(names: Sequence[str]) -> str:
    listed = ", ".join(f"'{name}'" for name in names[:NAMED])
    return f"{listed}, ... ({len(names)} in all)" if len(names) > NAMED else listed or "none"


def _unreadable(path: Path, error: Exception) -> RasterError:
    return RasterError(
        f"{path}: not a readable vector file ({_line(error)}); wanted GeoPackage, Shapefile, GeoJSON, GeoParquet "
        "or another format that GDAL reads"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
