"""Read the features of vector labels with their labels, in any format that GDAL reads."""

import io
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import geopandas
import numpy as np
import numpy.typing as npt
import pyarrow
import pyogrio
import pyproj
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from seg.errors import RasterError, listed
from seg.files import require_utf8_name
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.chips import ByteMask
from seg.raster.remote import gdal_name, is_remote, is_virtual
from seg.raster.vectors.settings import LAYER, BurnSettings

SHOWN = 8
"""Largest number of columns or values listed in an error; a land register has hundreds of crops."""

FALLBACK = "GB18030"
"""Encoding to try if text is not in the declared encoding. GB18030 contains GBK, the encoding of Chinese software."""

FARTHEST = 1e9
"""Largest coordinate on the Earth in any CRS, in units of the CRS; eastings with a zone prefix reach 6e7 metres."""

Found = TypeVar("Found")

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(frozen=True)
class Legend:
    """Meaning of features' attributes: cropland, no label, or other. By default all features are cropland.

    Attributes:
        column: Column of the classes, or None.
        cropland: Values of that column that mean cropland, as text.
        ignore: Values that mean no label; features without a value have no label either.
        cropland_where: SQL condition of cropland, if there is no column.
        ignore_where: SQL condition of features without a label, if there is no column.
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
        layer: Name of the layer; None for the only layer.
        where: SQL condition that features must meet, or None.
        legend: Meaning of the attributes.
        options: Pattern of option names in messages; {} stands for a name such as "layer".
        encoding: Encoding of the text; None for the declared encoding, or GB18030 if decoding fails.

    Attributes:
        path: The file.
        options: As given.
        legend: As given.
        crs: CRS of the layer.
        bounds: Left, bottom, right and top of all features in a geographic CRS; None in another CRS or if unknown.
        unused: Values of the legend that no feature has.

    Raises:
        RasterError: The file cannot be read, it lacks the layer, a column, features or a CRS, no feature meets the
            condition, or no feature is cropland.
    """

    def __init__(
        self,
        path: Path,
        layer: str | None = None,
        where: str | None = None,
        legend: Legend | None = None,
        options: str = "--{}",
        *,
        encoding: str | None = None,
    ) -> None:
        self.path = path
        self._encoding = encoding
        self.options = options
        self.legend = legend or Legend()
        self._where = where
        require_utf8_name(path)
        self._source = _source(path)
        self._layer = chosen_layer(path, self._source, layer, options.format("layer"))
        info = self._info()
        if info["features"] == 0:
            raise RasterError(f"{path}: its layer '{self._layer}' has no feature; wanted polygons")
        self._columns = [str(name) for name in info["fields"]]
        self._stated = str(info["encoding"])
        self.crs = _crs(path, info["crs"])
        bounds = self._info(bounds=True)["total_bounds"] if self.crs.is_geographic else None
        self.bounds: Box | None = None if bounds is None else (bounds[0], bounds[1], bounds[2], bounds[3])
        self.unused = self._check()

    def _info(self, bounds: bool = False) -> dict[str, Any]:
        """Fields, encoding, CRS and number of features of the layer; bounds only on request, since they can be slow."""
        try:
            return self._decoded(
                lambda code: pyogrio.read_info(
                    self._source, layer=self._layer, encoding=code, force_total_bounds=bounds
                )
            )
        except (DataSourceError, DataLayerError) as error:
            raise _unreadable(self.path, error) from error

    def features(self, box: Box | None) -> tuple[geopandas.GeoDataFrame, ByteMask]:
        """Features with a geometry that intersect a box, and their labels, (N,).

        Args:
            box: Box in the layer's CRS; None for all features.

        Raises:
            RasterError: The file cannot be read.
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
        """Check columns, conditions and values of the legend; return its values that no feature has."""
        column = self.legend.column
        present = [] if column is None else self._values(column, self.options.format("column"))
        for condition in (self._where, self.legend.cropland_where, self.legend.ignore_where):
            if condition is not None and not len(self._read(condition, [])):
                raise RasterError(
                    f"{self.path}: no feature meets the condition '{condition}'; its columns are "
                    f"{_shown(self._columns)}"
                )
        if column is None:
            return []
        if not set(present) & set(self.legend.cropland):
            raise RasterError(
                f"{self.path}: column '{column}' has none of the values {_shown(self.legend.cropland)}; "
                f"wanted some of {_shown(present)} for {self.options.format('cropland')}{self._advice(present)}"
            )
        return [value for value in (*self.legend.cropland, *self.legend.ignore) if value not in present]

    def _values(self, column: str, option: str) -> list[str]:
        """Values of a column as text, sorted; messages name the option."""
        if column not in self._columns:
            raise RasterError(
                f"{self.path}: has no column '{column}'; wanted one of {_shown(self._columns)} for {option}"
                f"{self._advice(self._columns)}"
            )
        return sorted({text for text in _texts(self._read(None, [column], geometry=False)[column]) if text is not None})

    def _advice(self, shown: Sequence[str]) -> str:
        """Advice for text that may be garbled by a wrong encoding; empty for plain ASCII."""
        if all(text.isascii() for text in shown) or (self._stated == "UTF-8" and self._encoding is None):
            return ""
        code, option = self._encoding or self._stated, self.options.format("encoding")
        return f"; the text was read as {code}; if it is garbled, give the encoding, such as {option}=GBK"

    def _decoded(self, read: Callable[[str | None], Found]) -> Found:
        """Read in the encoding of the file; if that fails, switch permanently to the fallback encoding."""
        try:
            with quiet_library():
                return read(self._encoding)
        except UnicodeDecodeError as error:
            try:
                with quiet_library():
                    found = read(FALLBACK)
            except UnicodeDecodeError:
                raise RasterError(
                    f"{self.path}: its text is encoded neither in {self._encoding or error.encoding} nor in "
                    f"{FALLBACK}; correct its .cpg, and save it in UTF-8 with ogr2ogr OUT.gpkg IN"
                ) from error
            self._encoding = FALLBACK
            return found

    def _label(self, text: str | None) -> int:
        if text is None or text in self.legend.ignore:
            return IGNORE
        return CROPLAND if text in self.legend.cropland else OTHER

    def _read(
        self, where: str | None, columns: list[str], box: Box | None = None, geometry: bool = True
    ) -> geopandas.GeoDataFrame:
        # In many formats GDAL filters only by columns that it reads, so columns of the condition are read too.
        asked = [name for name in self._columns if where is not None and name.lower() in where.lower()]
        try:
            found = self._decoded(
                lambda code: pyogrio.read_dataframe(
                    self._source,
                    layer=self._layer,
                    where=where,
                    columns=[*columns, *asked],
                    bbox=box,
                    fid_as_index=True,
                    on_invalid="fix",
                    read_geometry=geometry,
                    encoding=code,
                )
            )
        except (DataSourceError, DataLayerError, ValueError) as error:
            if where is None:
                raise _unreadable(self.path, error) from error
            raise RasterError(
                f"{self.path}: cannot filter by '{where}' ({_line(error)}); wanted an SQL condition like "
                f"\"crop = 'wheat'\"; its columns are {_shown(self._columns)}"
            ) from error
        if geometry:
            require_near(self.path, found.geometry.to_numpy())
        return found


def read_features(path: Path) -> geopandas.GeoDataFrame:
    """All features of a layer with all columns; text that is not in the stated encoding is read as GB18030.

    Args:
        path: Any vector file that GDAL reads, or GeoParquet; `FILE|layername=NAME` for one of several layers.

    Raises:
        RasterError: The file cannot be read, or has no such layer.
    """
    name, _, layer = str(path).partition(LAYER)
    file = Path(name)
    require_utf8_name(file)
    source = _source(file)
    chosen = chosen_layer(file, source, layer or None, f"{file}{LAYER}NAME")
    try:
        with quiet_library():
            try:
                found = pyogrio.read_dataframe(source, layer=chosen)
            except UnicodeDecodeError:
                found = pyogrio.read_dataframe(source, layer=chosen, encoding=FALLBACK)
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise _unreadable(file, error) from error
    if isinstance(found, geopandas.GeoDataFrame):
        require_near(file, found.geometry.to_numpy())
    return found


def require_near(path: Path | str, shapes: npt.NDArray[np.object_]) -> None:
    """Check that coordinates are finite and lie on the Earth in some CRS; areas of larger coordinates would overflow.

    Args:
        path: File of the geometries.
        shapes: (N,) geometries; None for a feature without one.

    Raises:
        RasterError: A coordinate is not finite or too large.
    """
    coordinates = shapely.get_coordinates(shapes)
    far = coordinates[~(np.abs(coordinates) <= FARTHEST)]
    if far.size:
        raise RasterError(
            f"{path}: {far.size} coordinates are not on the Earth, such as {far[0]:g}; remove or correct these features"
        )


@contextmanager
def quiet_library() -> Iterator[None]:
    """Hide pyogrio's warnings, such as its three warnings about a layer whose measures (M) it drops."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (UserWarning, RuntimeWarning))
        yield


def open_labels(path: Path, settings: BurnSettings, options: str = "--{}") -> VectorLabels:
    """Vector labels that the options of the command line select.

    Args:
        path: The file.
        settings: Layer, condition, and meaning of the attributes.
        options: Pattern of option names in messages; {} stands for a name such as "layer".

    Raises:
        RasterError: The file cannot be read, or lacks the layer, columns, features or values of the settings.
    """
    legend = Legend(
        column=settings.column,
        cropland=settings.cropland_values,
        ignore=settings.ignore_values,
        cropland_where=settings.cropland_where,
        ignore_where=settings.ignore_where,
    )
    return VectorLabels(path, settings.layer, settings.where, legend, options, encoding=settings.encoding)


def _source(path: Path) -> Path | str | bytes:
    """The file or its GDAL name; GeoParquet becomes FlatGeobuf, since pyogrio's GDAL often lacks Parquet."""
    if is_remote(path) or is_virtual(path):
        return gdal_name(path)
    if not path.exists():
        raise RasterError(f"{path}: no such file; check the path")
    if path.suffix.lower() not in {".parquet", ".geoparquet"}:
        return path
    try:
        frame = geopandas.read_parquet(path)
        content = io.BytesIO()
        # A spatial index would sort the features, and cannot hold features without a geometry.
        pyogrio.write_dataframe(frame, content, driver="FlatGeobuf", layer=path.stem, spatial_index="NO")
    except (pyarrow.ArrowException, DataSourceError, DataLayerError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from error
    return content.getvalue()


def chosen_layer(path: Path, source: Path | str | bytes, wanted: str | None, option: str) -> str:
    """Name of the wanted layer, or of the only layer with geometries.

    Args:
        path: The file, for errors.
        source: The file, its GDAL name or its content.
        wanted: Name of a layer, or None.
        option: Option that chooses a layer, for errors.

    Raises:
        RasterError: The file cannot be read, has no such layer, or has several layers although none is wanted.
    """
    try:
        with quiet_library():
            layers = [str(name) for name, kind in pyogrio.list_layers(source) if kind is not None]
    except (DataSourceError, DataLayerError) as error:
        raise _unreadable(path, error) from error
    if not layers:
        raise RasterError(f"{path}: holds no layer with geometries; wanted polygons")
    if wanted is None and len(layers) > 1:
        raise RasterError(f"{path}: has {len(layers)} layers, {_shown(layers)}; choose one with {option}")
    if wanted is not None and wanted not in layers:
        raise RasterError(f"{path}: has no layer '{wanted}' of geometries; wanted one of {_shown(layers)} for {option}")
    return layers[0] if wanted is None else wanted


def _crs(path: Path, text: str | None) -> pyproj.CRS:
    if not text:
        raise RasterError(
            f"{path}: has no CRS, so the place of its polygons is unknown; assign the right CRS first, "
            "such as: ogr2ogr -a_srs EPSG:4326 OUT.gpkg IN (a shapefile needs its .prj beside it)"
        )
    try:
        return pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError as error:
        raise RasterError(
            f"{path}: PROJ cannot use its CRS ({_line(error)}); assign a CRS with an EPSG code"
        ) from error


def _texts(values: Sequence[object]) -> list[str | None]:
    """Attribute values as text; None for missing values.

    Integer columns with missing values are read as floats; their values are written without a decimal point.
    """
    texts: list[str | None] = []
    for value in values:
        if isinstance(value, float):
            texts.append(None if math.isnan(value) else str(int(value)) if value.is_integer() else str(value))
        else:
            texts.append(None if value is None or value != value else str(value))
    return texts


def _shown(names: Sequence[str]) -> str:
    return listed([f"'{name}'" for name in names], SHOWN) or "none"


def _unreadable(path: Path, error: Exception) -> RasterError:
    if "SHAPE_RESTORE_SHX" in str(error):
        return RasterError(
            f"{path}: its index {path.with_suffix('.shx').name} is missing; copy that file too, or set "
            "SHAPE_RESTORE_SHX=YES in the environment to write a new index"
        )
    return RasterError(
        f"{path}: not a readable vector file ({_line(error)}); wanted GeoPackage, Shapefile, GeoJSON, GeoParquet "
        "or another format that GDAL reads"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
