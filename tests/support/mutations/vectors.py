"""Changes to geometries, columns and cells of vector files and tables that remain readable files."""

import sqlite3
import warnings
from pathlib import Path
from random import Random

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import shapely

STATEMENTS = (
    "DELETE FROM gpkg_contents",
    "DELETE FROM gpkg_geometry_columns",
    "UPDATE gpkg_contents SET srs_id = 99999",
    "UPDATE gpkg_geometry_columns SET geometry_type_name = 'POINT'",
    "UPDATE gpkg_geometry_columns SET column_name = 'nowhere'",
    "UPDATE gpkg_spatial_ref_sys SET definition = 'undefined'",
    "DROP TABLE gpkg_spatial_ref_sys",
    "UPDATE {table} SET geom = NULL",
    "UPDATE {table} SET geom = x'00'",
    "UPDATE {table} SET geom = x'47500001e6100000010300000001000000ffffff7f'",
    "UPDATE {table} SET geom = substr(geom, 1, length(geom) - 9)",
    "DELETE FROM {table}",
    'ALTER TABLE {table} RENAME COLUMN {column} TO "a\'b"',
    "ALTER TABLE {table} ADD COLUMN crop2 BLOB",
    "UPDATE {table} SET {column} = NULL",
    "UPDATE {table} SET {column} = x'ff00fe'",
    "UPDATE {table} SET {column} = 1e300",
    "UPDATE {table} SET fid = -fid",
)
"""SQL statements that damage the tables of a GeoPackage."""


def mutate_vectors(path: Path, random: Random) -> str:
    """Change geometries, columns, tables or the CRS of a vector file; return a description of the change."""
    if path.suffix == ".gpkg" and random.random() < 0.4:
        return _damage_tables(path, random)
    if path.suffix == ".shp" and random.random() < 0.4:
        gone = random.choice([".dbf", ".shx", ".prj", ".cpg"])
        path.with_suffix(gone).unlink(missing_ok=True)
        return f"no {gone}"
    layer = str(pyogrio.list_layers(path)[0][0])
    frame = geopandas.read_file(path, layer=layer)
    told = random.choice([_change_geometries, _change_geometries, _change_columns, _change_crs])(frame, random)
    path.unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pyogrio.write_dataframe(frame, path, layer=layer, promote_to_multi=False)
        except Exception as error:  # Not every format can store every change.
            path.write_text("")
            return f"{told} (empty file: {type(error).__name__})"
    return told


def _change_geometries(frame: geopandas.GeoDataFrame, random: Random) -> str:
    shape = frame.geometry.iloc[0]
    left, bottom, right, top = frame.total_bounds
    new = random.choice(
        [
            None,
            shapely.Polygon(),
            shapely.Point(left, top),
            shapely.LineString([(left, bottom), (right, top)]),
            shapely.Polygon([(left, bottom), (right, top), (right, bottom), (left, top)]),
            shapely.Polygon([(left, bottom), (left, bottom), (left, bottom)]),
            shapely.GeometryCollection([shape, shapely.Point(0, 0)]),
            shapely.MultiPolygon([shapely.box(left, bottom, right, top)] * 2),
            shapely.force_3d(shape, 5.0),
            shapely.box(left + 1e7, bottom, right + 1e7, top),
            shapely.box(-1e300, -1e300, 1e300, 1e300),
            shapely.box(np.nan, 0, 1, 1),
            shapely.box(left, bottom, np.inf, top),
            shapely.box(left, bottom, left + 1e-9, bottom + 1e-9),
        ]
    )
    number = len(frame) if random.random() < 0.5 else 1
    frame["geometry"] = [new] * number + list(frame.geometry)[number:]
    return f"{number} geometries are now {str(new)[:40]}"


def _change_columns(frame: geopandas.GeoDataFrame, random: Random) -> str:
    name = random.choice([column for column in frame.columns if column != "geometry"])
    values = random.choice([None, "", "亩", "1.0", "x" * 300, 1e300, np.nan, -1, True, 2**40])
    if random.random() < 0.3:
        frame.drop(columns=name, inplace=True)
        return f"no column {name}"
    frame[name] = [values] * len(frame)
    return f"column {name} is now {str(values)[:20]!r}"


def _change_crs(frame: geopandas.GeoDataFrame, random: Random) -> str:
    crs = random.choice([None, "EPSG:4326", "EPSG:3857", "EPSG:4978", "EPSG:4490", "EPSG:32733"])
    frame.set_crs(crs, allow_override=True, inplace=True) if crs else frame.set_geometry(
        frame.geometry.set_crs(None, allow_override=True), inplace=True
    )
    return f"CRS {crs}"


def _damage_tables(path: Path, random: Random) -> str:
    statement = random.choice(STATEMENTS)
    with sqlite3.connect(path) as database:
        try:
            table = database.execute("SELECT table_name FROM gpkg_contents").fetchone()[0]
            names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            for trigger in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                database.execute(f'DROP TRIGGER "{trigger[0]}"')
            statement = statement.format(table=table, column=random.choice(names[2:] or names))
            database.execute(statement)
        except (sqlite3.Error, TypeError) as error:
            return f"nothing ({error})"
    database.close()
    return statement


def mutate_table(path: Path, random: Random) -> str:
    """Change cells or columns of a CSV or Parquet table; return a description of the change."""
    is_csv = path.suffix == ".csv"
    if not is_csv and "geometry" in pd.read_parquet(path).columns:
        return _mutate_geoparquet(path, random)
    frame = pd.read_csv(path, dtype=str, keep_default_na=False) if is_csv else pd.read_parquet(path)
    name, row = random.choice(list(frame.columns)), random.randrange(len(frame))
    value = random.choice(["", "-1", "99", "1.5", "1.0", "nan", "x", "1e400", "../..", "亩", "a\nb", "a;b", "2" * 5000])
    match random.randrange(7):
        case 0:
            frame[name] = frame[name].astype(object)
            frame.loc[row, name] = value
            told = f"{name} of row {row} is now {value[:20]!r}"
        case 1:
            frame = frame.drop(columns=name)
            told = f"no column {name}"
        case 2:
            frame = frame.rename(columns={name: random.choice([name.upper(), f" {name}", "", "x", "geometry"])})
            told = f"column {name} renamed"
        case 3:
            frame = pd.concat([frame, frame])
            told = "rows twice"
        case 4:
            frame = frame.iloc[:0]
            told = "no rows"
        case 5:
            frame[name] = value
            told = f"{name} is now {value[:20]!r}"
        case _:
            frame.insert(0, random.choice(["weight", "split", "label", "x,y"]), random.choice(["", "-1", "val", "nan"]))
            told = f"a column {frame.columns[0]} more"
    if is_csv:
        separator = random.choice([",", ",", ",", ";", "\t"])
        frame.to_csv(path, index=False, sep=separator, encoding=random.choice(["utf-8", "utf-8-sig", "gb18030"]))
        return f"{told}, separator {separator!r}"
    frame.to_parquet(path, index=False)
    return told


def _mutate_geoparquet(path: Path, random: Random) -> str:
    frame = geopandas.read_parquet(path)
    told = random.choice([_change_geometries, _change_columns, _change_crs])(frame, random)
    if random.random() < 0.2:
        pd.DataFrame(frame.drop(columns="geometry")).to_parquet(path)
        return "no geometries"
    frame.to_parquet(path)
    return told
