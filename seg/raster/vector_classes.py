"""Polygons of a vector file by the values of a column: soil types, districts, crops."""

from pathlib import Path

from seg.errors import RasterError
from seg.labels import IGNORE
from seg.raster.vectors import Legend, VectorLabels


class VectorClasses(VectorLabels):
    """The features of a vector file; the label of each is the place of its value among the names, IGNORE without one.

    Args:
        path: Any vector file that GDAL reads, or GeoParquet.
        column: The column that tells the classes.
        layer: The layer; None for the only one.
        options: How the options that name layer and column are written, for errors: `--stratum-{}` for
            `--stratum-layer` and `--stratum-attribute`.

    Attributes:
        names: The values of the column as text, sorted.

    Raises:
        RasterError: The file cannot be read, has no such layer or column, states no CRS, or has too many classes.
    """

    def __init__(self, path: Path, column: str, layer: str | None = None, options: str = "--{}") -> None:
        self.names: list[str] = []
        super().__init__(path, layer, legend=Legend(column=column), options=options)

    def _check(self) -> list[str]:
        column, option = str(self.legend.column), self.options.format("attribute")
        self.names = self._values(column, option)
        if not 0 < len(self.names) <= IGNORE:
            raise RasterError(
                f"{self.path}: column '{column}' has {len(self.names)} different values; wanted 1 to {IGNORE} "
                f"for {option}, so choose a coarser classification"
            )
        return []

    def _label(self, text: str | None) -> int:
        return IGNORE if text is None else self.names.index(text)
