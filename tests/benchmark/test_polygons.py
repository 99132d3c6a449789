from pathlib import Path

import pytest
import rasterio

from seg.benchmark.polygon_runs import as_parcels, as_shapes, write_map
from seg.benchmark.polygons import PolygonRow, measure_polygons, text_of
from seg.benchmark.settings import PolygonBenchmarkSettings
from seg.errors import ConfigError


def test_both_methods_find_the_same_polygons(tmp_path: Path) -> None:
    write_map(tmp_path / "map.tif", 512)
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert 0.7 < dataset.read(1).mean() < 0.95
    assert as_parcels(tmp_path / "map.tif") == as_shapes(tmp_path / "map.tif") > 50


@pytest.mark.campaign
def test_two_sizes_are_measured() -> None:
    rows = measure_polygons(PolygonBenchmarkSettings(side=512))
    assert [row.side for row in rows] == [256, 512]
    assert all(row.parcels > 0 and row.seconds > 0 and row.memory_mib > 1 for row in rows)


def test_the_report_has_a_line_per_map_and_the_growth_of_time() -> None:
    small = PolygonRow(8192, 12_500, 2.0, 1.6, 500.0, 600.0)
    text = text_of([small, PolygonRow(16384, 50_000, 8.2, 6.4, 520.0, 1900.0)])
    assert "| 16384x16384 |  50,000 | 8.20 |" in text
    assert "four times the pixels take 4.10 times as long" in text
    assert small.ratio == 1.25


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="--side is 255; wanted 256 or more"):
        PolygonBenchmarkSettings(side=255)
