"""Styles for QGIS: a QML file and a raster attribute table beside a map, and the style of parcels in a GeoPackage.

QGIS loads `map.qml` with `map.tif`. GDAL reads `map.tif.aux.xml`, whose attribute table gives every value a name. The
map itself does not change.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

from seg.files import SOFTWARE, complete_or_absent, writing
from seg.labels import CROPLAND, LABEL_COLOURS, LABEL_NAMES, OTHER

Colour = tuple[int, int, int, int]

CHINESE = {OTHER: "非耕地", CROPLAND: "耕地"}
"""Chinese names of the classes."""

TABLE = "GDALRasterAttributeTable"

_QML = ".qml"
_AUX = ".aux.xml"
_USAGE = {"Value": 5, "Class": 2, "Class_zh": 0, "Red": 6, "Green": 7, "Blue": 8, "Alpha": 9}
"""Columns of the attribute table, and their usage as numbers of GDAL's GDALRATFieldUsage."""

_TEXT, _INTEGER = "2", "0"
"""Types of columns, as numbers of GDAL's GDALRATFieldType."""


@dataclass(frozen=True)
class Value:
    """A value of a class map.

    Attributes:
        value: The stored value.
        name: English name of the class.
        chinese: Chinese name of the class.
        colour: Red, green, blue and opacity, 0 to 255.
    """

    value: int
    name: str
    chinese: str
    colour: Colour


CLASS_VALUES = tuple(
    Value(label, LABEL_NAMES[label], CHINESE[label], LABEL_COLOURS[label]) for label in (OTHER, CROPLAND)
)
"""Values of a class map."""

RAMP: Mapping[float, Colour] = {
    0.0: (0, 34, 78, 255),
    0.25: (66, 78, 108, 255),
    0.5: (124, 123, 120, 255),
    0.75: (187, 173, 108, 255),
    1.0: (254, 232, 56, 255),
}
"""Colours of probabilities: the ramp "cividis", which can be read with any colour vision."""


def write_class_style(path: Path, values: Sequence[Value] = CLASS_VALUES) -> list[Path]:
    """Write the style and the attribute table of a class map.

    A file of another program, such as a style that a user saved in QGIS, is kept.

    Args:
        path: The map.
        values: Values of the map.

    Returns:
        The written files.

    Raises:
        WriteError: A file cannot be written.
    """
    root, renderer = _style("paletted")
    palette = Xml.SubElement(renderer, "colorPalette")
    for one in values:
        Xml.SubElement(palette, "paletteEntry", _entry(one.value, one.colour, f"{one.name} {one.chinese}"))
    table = path.with_name(path.name + _AUX)
    written = _write_style(root, path.with_suffix(_QML))
    if not table.exists() or TABLE in table.read_text(encoding="utf-8", errors="replace"):
        _write(_attribute_table(values), table)
        written.append(table)
    return written


def write_ramp_style(path: Path, most: float = 1.0) -> list[Path]:
    """Write the style of a map of probabilities or standard deviations.

    Args:
        path: The map.
        most: Largest value of the map after the map's scale is applied; QGIS applies the scale too.

    Returns:
        The written file; an empty list if the existing file is from another program.

    Raises:
        WriteError: The file cannot be written.
    """
    root, renderer = _style("singlebandpseudocolor")
    renderer.set("classificationMin", "0")
    renderer.set("classificationMax", f"{most:g}")
    shader = Xml.SubElement(Xml.SubElement(renderer, "rastershader"), "colorrampshader")
    for key, text in {"colorRampType": "INTERPOLATED", "classificationMode": "1", "clip": "0"}.items():
        shader.set(key, text)
    shader.set("minimumValue", "0")
    shader.set("maximumValue", f"{most:g}")
    for share, colour in RAMP.items():
        Xml.SubElement(shader, "item", _entry(share * most, colour, f"{100 * share * most:g} %"))
    return _write_style(root, path.with_suffix(_QML))


STYLES_TABLE = "layer_styles"
"""Table of a GeoPackage in which QGIS keeps the styles of layers."""

_STYLES_SCHEMA = f"""CREATE TABLE IF NOT EXISTS {STYLES_TABLE} (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
    f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
    useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""


def add_parcel_style(path: Path, layer: str) -> None:
    """Add the default style of parcels to a GeoPackage: outlines in the colour of cropland over a light filling.

    Args:
        path: The GeoPackage.
        layer: Layer of the parcels.

    Raises:
        WriteError: The file cannot be written.
    """
    with writing(path, sqlite3.Error), closing(sqlite3.connect(path)) as database, database:
        (column,) = database.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
        ).fetchone()
        database.execute(_STYLES_SCHEMA)
        database.execute(f"DELETE FROM {STYLES_TABLE} WHERE f_table_name = ? AND owner = ?", (layer, SOFTWARE))
        database.execute(
            f"INSERT INTO {STYLES_TABLE} (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
            "styleQML, styleSLD, useAsDefault, description, owner) VALUES ('', '', ?, ?, ?, ?, '', 1, ?, ?)",
            (layer, column, "parcels", _parcel_qml(), "cropland 耕地", SOFTWARE),
        )
        database.execute(
            "INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier) VALUES (?, 'attributes', ?)",
            (STYLES_TABLE, STYLES_TABLE),
        )


def _parcel_qml() -> str:
    red, green, blue, _ = LABEL_COLOURS[CROPLAND]
    options = {
        "color": f"{red},{green},{blue},70",
        "outline_color": f"{red},{green},{blue},255",
        "outline_width": "0.3",
        "outline_width_unit": "MM",
        "outline_style": "solid",
        "style": "solid",
    }
    root = Xml.Element("qgis", version="3.28.0", styleCategories="Symbology")
    renderer = Xml.SubElement(root, "renderer-v2", type="singleSymbol", symbollevels="0", enableorderby="0")
    symbol = Xml.SubElement(
        Xml.SubElement(renderer, "symbols"), "symbol", type="fill", name="0", alpha="1", clip_to_extent="1"
    )
    fill = Xml.SubElement(symbol, "layer", {"class": "SimpleFill", "pass": "0", "locked": "0", "enabled": "1"})
    given = Xml.SubElement(fill, "Option", type="Map")
    for name, value in options.items():
        Xml.SubElement(given, "Option", name=name, value=value, type="QString")
    return "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + Xml.tostring(root, encoding="unicode")


def _style(kind: str) -> tuple[Xml.Element, Xml.Element]:
    """Root and renderer of a QML document."""
    root = Xml.Element("qgis", version="3.28.0", styleCategories="Symbology")
    root.append(Xml.Comment(f" {SOFTWARE} "))  # QGIS drops comments, so a style that a user saved has no such mark.
    renderer = Xml.SubElement(
        Xml.SubElement(root, "pipe"), "rasterrenderer", type=kind, band="1", opacity="1", alphaBand="-1"
    )
    Xml.SubElement(renderer, "rasterTransparency")
    return root, renderer


def _entry(value: float, colour: Colour, label: str) -> dict[str, str]:
    red, green, blue, alpha = colour
    return {"value": f"{value:g}", "color": f"#{red:02x}{green:02x}{blue:02x}", "alpha": str(alpha), "label": label}


def _attribute_table(values: Sequence[Value]) -> Xml.Element:
    root = Xml.Element("PAMDataset")
    table = Xml.SubElement(Xml.SubElement(root, "PAMRasterBand", band="1"), TABLE, tableType="thematic")
    for place, (name, usage) in enumerate(_USAGE.items()):
        column = Xml.SubElement(table, "FieldDefn", index=str(place))
        Xml.SubElement(column, "Name").text = name
        Xml.SubElement(column, "Type").text = _TEXT if name.startswith("Class") else _INTEGER
        Xml.SubElement(column, "Usage").text = str(usage)
    for place, one in enumerate(values):
        row = Xml.SubElement(table, "Row", index=str(place))
        for cell in (one.value, one.name, one.chinese, *one.colour):
            Xml.SubElement(row, "F").text = str(cell)
    return root


def _write_style(root: Xml.Element, path: Path) -> list[Path]:
    if path.exists() and f"<!-- {SOFTWARE} -->" not in path.read_text(encoding="utf-8", errors="replace"):
        return []
    _write(root, path)
    return [path]


def _write(root: Xml.Element, path: Path) -> None:
    with complete_or_absent(path) as unfinished:
        unfinished.write_text(Xml.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
