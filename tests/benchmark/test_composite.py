from pathlib import Path

import pytest
import rasterio

from seg.benchmark.composite import CompositeRow, Run, measure_composite, text_of, write_date
from seg.benchmark.settings import CompositeBenchmarkSettings
from seg.errors import ConfigError


def test_dates_show_the_same_fields_under_other_clouds_and_compress_like_imagery(tmp_path: Path) -> None:
    paths = [tmp_path / f"{date}.tif" for date in range(2)]
    clear = []
    for date, path in enumerate(paths):
        write_date(path, date, 1100)
        with rasterio.open(path) as dataset:
            pixels = dataset.read()
        clear.append(pixels[0] != 0)
        assert 0.1 < 1 - clear[-1].mean() < 0.35
        assert 1.3 < pixels.nbytes / path.stat().st_size < 3
    assert (clear[0] != clear[1]).any()


@pytest.mark.campaign
def test_a_composite_and_plain_reading_and_writing_are_measured() -> None:
    row = measure_composite(CompositeBenchmarkSettings(side=512, dates=2))
    for run in (row.composite, row.reading, row.writing):
        assert min(run.seconds, run.cpu_seconds, run.memory_mib) > 0


def test_the_report_has_a_line_per_run_and_the_ratios() -> None:
    row = CompositeRow(Run(15.0, 24.0, 900.0), reading=Run(4.0, 4.0, 300.0), writing=Run(8.0, 12.0, 400.0))
    text = text_of(CompositeBenchmarkSettings(), row)
    assert "| composite     | 15.0 |  24.0 |        900 |" in text
    assert "1.25 times the duration, 1.50 times the CPU time" in text


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="--side is 255; wanted 256 or more"):
        CompositeBenchmarkSettings(side=255)
    with pytest.raises(ConfigError, match=r"--memory is 0\.1; wanted 0\.75 GiB or more"):
        CompositeBenchmarkSettings(memory=0.1)
