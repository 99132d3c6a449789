"""A small delivery: five parcels of two counties, its template, and changes of delivered layers."""

import shutil
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely
from pyproj import CRS
from shapely import box
from shapely.affinity import translate

from seg.delivery.areas import AreaMeasure
from seg.delivery.template import Template
from seg.delivery.template_reading import read_template
from seg.parcels.formats import write_table
from seg.parcels.vector_files import Layer, geometry_field
from support.commands import Ran, run_command

EAST, NORTH = 39_500_000, 4_400_000
EPSG = "EPSG:4527"

FORMATS = {
    "gdb": 'file: "out_{value.year}/DLTB.gdb"\nlayer: "DLTB{zone.QXDM}"',
    "gpkg": 'file: "out_{value.year}/DLTB.gpkg"\nlayer: "DLTB{zone.QXDM}"',
    "shp": 'file: "out_{value.year}/{zone.QXMC}.shp"\nencoding: gbk',
    "parquet": 'file: "out_{value.year}/{zone.QXDM}.parquet"',
    "geojson": 'file: "out_{value.year}/{zone.QXDM}.geojson"',
}
"""Files and layers of the template by format."""

FIELDS = """
values: {year: 2026}
crs: CRS
records: 8
least_area: {others: 2000m2, by: DLBM, classes: {"0101": 3000m2}}
fields:
  - {name: BSM, type: text, width: 18, alias: 标识码, source: "zone.QXDM + number(8)", required: true, unique: true}
  - {name: QXDM, type: text, width: 6, source: zone.QXDM, required: true}
  - {name: DLBM, type: text, width: 4, source: parcel.class, codes: {旱地: "0103", 水田: "0101"}, required: true}
  - {name: TBMJ, type: real, width: 15, decimals: 2, source: area_m2, required: true}
  - {name: 权利人, type: text, width: 20, source: parcel.owner}
  - {name: SJNF, type: integer, width: 4, source: value.year}
  - {name: ID64, type: integer, width: 18, source: parcel.number}
  - {name: RQ, type: date, source: parcel.day}
"""

PARCELS = {
    "class": ["旱地", "水田", "旱地", "旱地", "旱地", "旱地"],
    "owner": ["张三", "李四", None, "王五", "赵六", "小"],
    "number": [9_007_199_254_740_993, 2, 3, 4, 5, 6],
    "day": ["2026-11-28", "2026-01-02", None, "1949-10-01", "2026-11-28", "2026-11-28"],
}
SHAPES = [
    box(0, 0, 80, 80),
    box(80, 0, 160, 80),  # cut by the line at 130 m
    box(200, 0, 300, 80),
    box(0, 100, 60, 160),
    box(125, 100, 185, 160),  # a piece of 5 m x 60 m is left of the line
    box(200, 100, 230, 130),  # too small
]
ZONES = [box(-50, -50, 130, 300), box(130, -50, 400, 300)]
CODES, NAMES = ["150101", "150102"], ["东县", "西县"]


def placed(shapes: list[shapely.Polygon]) -> list[shapely.Polygon]:
    """Shapes in metres moved to their place in EPSG:4527."""
    return [translate(shape, EAST, NORTH) for shape in shapes]


def write_inputs(folder: Path) -> None:
    """Write parcels.gpkg and, in another CRS, counties.gpkg."""
    days = pa.array(PARCELS["day"]).cast(pa.date32())
    table = pa.table({**PARCELS, "day": days, "geometry": pa.array(shapely.to_wkb(placed(SHAPES)), pa.binary())})
    pyogrio.write_arrow(table, folder / "parcels.gpkg", geometry_name="geometry", geometry_type="Polygon", crs=EPSG)
    counties = geopandas.GeoDataFrame({"QXDM": CODES, "QXMC": NAMES}, geometry=placed(ZONES), crs=EPSG)
    counties.to_crs("EPSG:4490").to_file(folder / "counties.gpkg")


def template_text(form: str, crs: str = EPSG) -> str:
    """Template of a format of FORMATS."""
    return FORMATS[form] + FIELDS.replace("CRS", "EPSG:4326" if form == "geojson" else crs)


def write_template(folder: Path, text: str, name: str = "template.yaml") -> Template:
    """Write a template, and return it."""
    (folder / name).write_text(text, encoding="utf-8")
    return read_template(folder / name)


def deliver(folder: Path) -> Ran:
    """Run the command with the inputs in a folder."""
    return run_command(
        "deliver",
        f"--template={folder / 'template.yaml'}",
        f"--parcels={folder / 'parcels.gpkg'}",
        f"--zones={folder / 'counties.gpkg'}",
        f"--output={folder / 'delivery'}",
        "--threads=1",
    )


def check(folder: Path, delivery: str = "delivery") -> Ran:
    """Check a delivery in a folder."""
    return run_command(
        "deliver check",
        f"--template={folder / 'template.yaml'}",
        f"--delivery={folder / delivery}",
        f"--zones={folder / 'counties.gpkg'}",
    )


def read_records(file: Path, layer: str | None = None) -> pa.Table:
    """Fields and geometry of a layer."""
    if file.suffix == ".parquet":
        return pq.read_table(file)
    _, table = pyogrio.read_arrow(file, layer=layer)
    return table


Change = Callable[[pa.Table, np.ndarray], tuple[pa.Table, np.ndarray]]
"""Function of the fields and polygons of a layer, which returns changed ones."""


def change_layer(file: Path, layer: str, change: Change, crs: str = EPSG) -> None:
    """Change one layer of a File Geodatabase; its areas are measured again, so that only the change is a fault."""
    layers = {str(name): read_records(file, str(name)) for name, _ in pyogrio.list_layers(file)}
    shutil.rmtree(file)
    for name, table in layers.items():
        place = table.column_names[-1]
        polygons = np.array([part.geoms[0] for part in shapely.from_wkb(table.column(place).to_pylist())], dtype=object)
        fields, used = table.drop_columns([place]), EPSG
        if name == layer:
            before = polygons
            fields, polygons = change(fields, polygons)
            if polygons is not before and "TBMJ" in fields.column_names and shapely.is_valid(polygons).all():
                areas = pa.array(np.round(AreaMeasure(CRS(EPSG)).square_metres(polygons), 2))
                number = fields.column_names.index("TBMJ")
                fields = fields.set_column(number, fields.schema.field("TBMJ"), areas)
            if crs != EPSG:
                polygons, used = geopandas.GeoSeries(polygons, crs=EPSG).to_crs(crs).to_numpy(), crs
        schema = pa.schema([*fields.schema, geometry_field()])
        columns = [
            *(column.combine_chunks() for column in fields.columns),
            pa.array(shapely.to_wkb(polygons), pa.binary()),
        ]
        write_table(file, Layer(name, schema, CRS(used)), [pa.record_batch(columns, schema=schema)])
