import pytest

from seg.benchmark import loading
from seg.benchmark.loading import LoadingRow, measure_loading, text_of
from seg.benchmark.settings import LoadingSettings
from seg.errors import ConfigError


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # warning on a machine with few cores
@pytest.mark.campaign
@pytest.mark.parametrize("sizes", [(64,), (256, 512)])
def test_loader_and_plain_loops_are_timed_for_every_size_of_chips(
    sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "SIZES", sizes)
    rows = measure_loading(LoadingSettings(side=512, workers=1, samples=2, repeats=1, memory_samples=2))
    assert [row.size for row in rows] == [*sizes]
    assert all(row.loader > 0 and row.floor > 0 and row.memory_mib > 0 for row in rows)


def test_the_report_has_a_line_per_size() -> None:
    text = text_of(LoadingSettings(), [LoadingRow(256, loader=90.0, floor=100.0, memory_mib=800.0, growth=0.012)])
    assert "| 256x256 |" in text
    assert "0.900" in text
    assert "1.2 %" in text


def test_a_scene_smaller_than_a_chip_is_refused() -> None:
    with pytest.raises(ConfigError, match="side is 511; wanted 512 or more"):
        LoadingSettings(side=511)
    with pytest.raises(ConfigError, match="memory-samples is 0"):
        LoadingSettings(memory_samples=0)
