import pytest

from seg.benchmark import training
from seg.benchmark.settings import TrainingSettings
from seg.benchmark.training import TrainingTimes, measure_training, text_of
from seg.errors import ConfigError


@pytest.mark.campaign
def test_lightning_and_the_plain_loop_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SIDES", (24, 32))
    times = measure_training(TrainingSettings(scenes=5, repeats=1))
    assert len(times.lightning) == len(times.loop) == 1
    assert times.ratio == times.lightning[0] / times.loop[0] > 0


def test_the_report_names_the_ratio_of_the_medians() -> None:
    text = text_of(TrainingSettings(), TrainingTimes(lightning=(2.0, 9.0, 1.0), loop=(1.0, 1.6, 8.0)))
    assert "ratio of medians: 1.25" in text


def test_too_few_scenes_to_hold_any_out_are_refused() -> None:
    with pytest.raises(ConfigError, match="--scenes is 4; wanted 5 or more"):
        TrainingSettings(scenes=4)
