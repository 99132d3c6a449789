"""Requirements of fiboa 0.3.0 and Vecorel 0.1.0, from their schemas; the official validator is not a dependency."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.commands import Ran, assert_mistake, run_command

WriteRaster = Callable[..., Path]


@pytest.fixture
def run(write_raster: WriteRaster, tmp_path: Path) -> Callable[..., Ran]:
    """Run `polygons --fiboa` on a map with two parcels."""
    pixels = np.zeros((20, 30), np.uint8)
    pixels[3:9, 4:15] = pixels[12:18, 2:9] = 1
    source = write_raster(tmp_path / "map.tif", pixels, nodata=255)
    write_raster(tmp_path / "map_probability.tif", pixels * 80, nodata=255)

    def polygons(*words: str, output: str = "fields.parquet") -> Ran:
        return run_command("polygons", f"--input={source}", f"--output={tmp_path / output}", "--fiboa=true", *words)

    return polygons


def test_rows_have_the_types_that_the_schemas_demand(run: Callable[..., Ran], tmp_path: Path) -> None:
    assert run("--observed=2025-05-01/2025-06-30").status == 0
    schema = pq.read_schema(tmp_path / "fields.parquet")
    required = {"id", "collection", "geometry"}
    assert {field.name for field in schema if not field.nullable} == required
    assert schema.field("metrics:area").type == pa.float32()
    assert schema.field("metrics:perimeter").type == pa.float32()
    assert schema.field("determination:datetime").type == pa.timestamp("ms", tz="UTC")
    rows = pq.read_table(tmp_path / "fields.parquet").to_pylist()
    assert {row["determination:method"] for row in rows} == {"auto-imagery"}
    assert rows[0]["determination:datetime"] == datetime(2025, 6, 30, 23, 59, 59, tzinfo=UTC)
    assert "map.tif" in rows[0]["determination:details"]


def test_areas_are_square_metres_and_perimeters_metres(run: Callable[..., Ran], tmp_path: Path) -> None:
    run()
    plain = tmp_path / "plain.parquet"
    run_command("polygons", f"--input={tmp_path / 'map.tif'}", f"--output={plain}")
    expected, found = geopandas.read_parquet(plain), geopandas.read_parquet(tmp_path / "fields.parquet")
    assert found["id"].tolist() == expected["id"].tolist()
    assert found["metrics:area"].tolist() == pytest.approx((expected["area"] * 1e4).tolist(), rel=1e-6)
    assert found["metrics:perimeter"].tolist() == pytest.approx(expected["perimeter"].tolist(), rel=1e-6)
    assert found.geometry.equals(expected.geometry)
    assert found["determination:datetime"].isna().all()


def test_the_file_holds_the_metadata_of_its_collection(run: Callable[..., Ran], tmp_path: Path) -> None:
    probability = f"--probability={tmp_path / 'map_probability.tif'}"
    for _ in range(2):  # The second run replaces the file of the first one.
        assert run(probability).status == 0
    content = json.loads(pq.read_schema(tmp_path / "fields.parquet").metadata[b"collection"])
    assert content["collection"] == "fields"
    assert content["schemas"] == {
        "fields": [
            "https://vecorel.org/specification/v0.1.0/schema.yaml",
            "https://fiboa.org/specification/v0.3.0/schema.yaml",
        ]
    }
    assert content["schemas:custom"]["properties"] == {
        "mean_probability": {"type": "double"},
        "uncertain_share": {"type": "double"},
    }


@pytest.mark.parametrize(
    ("words", "output", "wanted"),
    [
        ((), "fields.gpkg", "fields.gpkg: wanted a file name that ends in .parquet"),
        (("--observed=last summer",), "fields.parquet", "--observed is 'last summer'; wanted a date"),
        (("--observed=2025-06-12/2025-06-01",), "fields.parquet", "--observed is 2025-06-12/2025-06-01"),
        (("--observed=2025-06-12", "--fiboa=false"), "fields.parquet", "--fiboa"),
    ],
)
def test_mistakes_are_refused_in_one_line(
    run: Callable[..., Ran], words: tuple[str, ...], output: str, wanted: str
) -> None:
    assert_mistake(run(*words, output=output), wanted)
