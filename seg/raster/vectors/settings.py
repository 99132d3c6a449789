"""Options for burning vector labels. This module imports nothing heavy, so that `--help` is quick."""

import codecs
from dataclasses import dataclass
from typing import Literal

from seg.errors import ConfigError
from seg.labels import IGNORE, OTHER

LAYER = "|layername="
"""Separator between a file and the name of a layer, as in QGIS."""


@dataclass(frozen=True, kw_only=True)
class BurnSettings:
    """Options for burning labels. Where polygons overlap, ignore wins over cropland, and cropland wins over other.

    Args:
        layer: Layer of the file; null for its only layer.
        where: SQL condition that polygons must meet to be used, such as "area_ha > 0.5".
        column: Column of the classes; null makes all polygons cropland. Polygons without a value get no label.
        cropland: Values of the column that mean cropland, such as "wheat,maize"; all other values mean other.
        ignore: Values of the column that mean no label, such as "fallow".
        cropland_where: SQL condition of cropland, used instead of a column, such as "code BETWEEN 1 AND 180".
        ignore_where: SQL condition of polygons without a label, used instead of a column.
        outside: Label outside all polygons: other, or ignore if the polygons do not contain all cropland.
        all_touched: Burn every pixel that a polygon covers in part, not only pixels whose centre it covers.
        ignore_buffer: Width in pixels of the strips on both sides of polygon edges that get no label.
        encoding: Encoding of names and text in the file, such as GBK for a shapefile with a missing or wrong .cpg; null
            for the encoding that the file declares.

    Raises:
        ConfigError: The options contradict each other.
    """

    layer: str | None = None
    where: str | None = None
    column: str | None = None
    cropland: str | None = None
    ignore: str | None = None
    cropland_where: str | None = None
    ignore_where: str | None = None
    outside: Literal["other", "ignore"] = "other"
    all_touched: bool = False
    ignore_buffer: int = 0
    encoding: str | None = None

    def __post_init__(self) -> None:
        """Check the options against each other."""
        # Messages name options without dashes, since evaluate.py calls them --vector.column and so on.
        if self.ignore_buffer < 0:
            raise ConfigError(f"ignore-buffer is {self.ignore_buffer}; wanted 0 or more pixels")
        require_encoding(self.encoding)
        if self.column is not None and not self.cropland_values:
            raise ConfigError(
                f"column is '{self.column}', but cropland is not given; give cropland the values of the "
                "column that mean cropland"
            )
        if self.column is None and (self.cropland is not None or self.ignore is not None):
            raise ConfigError("cropland and ignore list values of a column; give the name of this column as column")
        if self.column is not None and (self.cropland_where is not None or self.ignore_where is not None):
            raise ConfigError(
                f"column is '{self.column}', but a condition of a class is given too; give only the column or only the "
                "conditions"
            )
        both = set(self.cropland_values) & set(self.ignore_values)
        if both:
            raise ConfigError(f"'{min(both)}' is in both cropland and ignore; remove it from one of them")

    @property
    def outside_label(self) -> int:
        """Label outside all polygons."""
        return IGNORE if self.outside == "ignore" else OTHER

    @property
    def cropland_values(self) -> list[str]:
        """Values of the column that mean cropland."""
        return _listed(self.cropland)

    @property
    def ignore_values(self) -> list[str]:
        """Values of the column that mean no label."""
        return _listed(self.ignore)


def require_encoding(name: str | None) -> None:
    """Check that an encoding is known; None stands for the encoding that a file declares.

    Raises:
        ConfigError: There is no such encoding.
    """
    try:
        codecs.lookup("utf-8" if name is None else name)
    except (LookupError, ValueError) as error:
        raise ConfigError(f"encoding is '{name}', which is unknown; wanted an encoding such as GBK or UTF-8") from error


def _listed(text: str | None) -> list[str]:
    return [value.strip() for value in (text or "").split(",") if value.strip()]
