"""Memory and time of a delivery of 1.2 million parcels; only in the campaign."""

import shutil
import time
from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely

from support.deliveries import CODES, EAST, EPSG, NAMES, NORTH
from support.processes import Job, Kill, Processes
from support.project import ROOT, SCRIPTS

PARCELS, SIDE = 1_200_000, 1_096
VERTICES = 14
MOST_BYTES = 1.5 * 2**30
MOST_TIMES = 1.5
"""Largest ratio of the delivery's time to that of pyogrio writing the same records once."""


def write_parcels(path: Path) -> tuple[float, float, float, float]:
    """Write star-shaped parcels on a grid of 100 m, with the columns id and area; return their bounds."""
    random = np.random.default_rng(0)
    row, column = np.divmod(np.arange(PARCELS), SIDE)
    # One vertex in each sector, so that a ring winds around the centre and does not cross itself.
    angle = 2 * np.pi / VERTICES * (np.arange(VERTICES) + random.uniform(0, 0.8, (PARCELS, VERTICES)))
    radius = random.uniform(25, 45, (PARCELS, VERTICES))
    x = EAST + 100.0 * column[:, None] + radius * np.cos(angle)
    y = NORTH - 100.0 * row[:, None] + radius * np.sin(angle)
    ring = np.stack([x, y], axis=-1)
    polygons = shapely.polygons(np.concatenate([ring, ring[:, :1]], axis=1))
    columns = {"id": [f"r{place}" for place in range(PARCELS)], "area": shapely.area(polygons) / 1e4}
    table = pa.table({**columns, "geometry": pa.array(shapely.to_wkb(polygons), pa.binary())})
    pyogrio.write_arrow(table, path, geometry_name="geometry", geometry_type="Polygon", crs=EPSG)
    west, south, east, north = shapely.total_bounds(polygons)
    return west, south, east, north


def seconds_of_pyogrio(delivery: Path, copy: Path) -> float:
    """Time in which pyogrio writes the delivered records to other File Geodatabases."""
    total = 0.0
    for file in sorted(delivery.rglob("*.gdb")):
        for layer, _ in pyogrio.list_layers(file):
            frame = pyogrio.read_dataframe(file, layer=layer)
            began = time.perf_counter()
            pyogrio.write_dataframe(frame, copy / file.name, layer=layer, driver="OpenFileGDB")
            total += time.perf_counter() - began
    return total


@pytest.mark.campaign
def test_a_province_needs_little_memory_and_time(tmp_path: Path, processes: Processes) -> None:
    west, south, east, north = write_parcels(tmp_path / "parcels.gpkg")
    line = west + 0.55 * (east - west)
    shapes = [shapely.box(west - 9, south - 9, line, north + 9), shapely.box(line, south - 9, east + 9, north + 9)]
    zones = geopandas.GeoDataFrame({"QXDM": CODES, "QXMC": NAMES}, geometry=shapes, crs=EPSG)
    zones.to_file(tmp_path / "counties.gpkg")
    template = ROOT / "configs" / "delivery" / "land_survey_dltb.yaml"
    words = [f"--template={template}", "--parcels=parcels.gpkg", "--zones=counties.gpkg", "--output=delivery"]
    [ended] = processes.run(Job(SCRIPTS / "deliver.py", words, folder=tmp_path, kill=Kill(after=1800)))
    assert ended.status == 0, ended.output
    files = sorted(path.name for path in (tmp_path / "delivery").rglob("*.gdb"))
    assert files == ["DLTB15_2026_1.gdb", "DLTB15_2026_2.gdb"]
    assert ended.memory <= MOST_BYTES
    (tmp_path / "copy").mkdir()
    alone = seconds_of_pyogrio(tmp_path / "delivery", tmp_path / "copy")
    shutil.rmtree(tmp_path / "delivery")
    print(f"{ended.seconds:.1f} s, {ended.memory / 2**20:.0f} MiB; pyogrio: {alone:.1f} s")
    assert ended.seconds <= MOST_TIMES * alone, f"{ended.seconds:.1f} s; pyogrio needs {alone:.1f} s"
