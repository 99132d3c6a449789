import pytest
import torch

from seg.benchmark import training
from seg.benchmark.settings import TrainingSettings
from seg.benchmark.training import Fits, TrainingTimes, measure_training, text_of
from seg.errors import ConfigError
from support.commands import assert_mistake, run_command


@pytest.mark.campaign
def test_lightning_in_two_precisions_and_the_plain_loop_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SIDES", (24, 32))
    monkeypatch.setitem(training.PRECISIONS, "cpu", training.PRECISIONS["cuda"])
    times = measure_training(TrainingSettings(scenes=5, repeats=1))
    assert [*times.fits] == ["32-true", "bf16-mixed"]
    assert all(len(fits.seconds) == len(fits.iou) == 1 for fits in times.fits.values())
    assert times.ratio == times.fits["32-true"].seconds[0] / times.loop[0] > 0
    assert all(0 <= fits.iou[0] <= 1 for fits in times.fits.values())


def test_the_report_names_the_ratios_of_the_medians() -> None:
    fits = {"32-true": Fits((2.0, 9.0, 1.0), (0.9, 0.8, 0.7)), "bf16-mixed": Fits((0.8, 0.9, 0.5), (0.6, 0.75, 0.8))}
    text = text_of(TrainingSettings(), TrainingTimes(fits, loop=(1.0, 1.6, 8.0)))
    assert "train.py fit / loop: 1.25" in text
    assert "speed of bf16-mixed / 32-true: 2.50" in text
    assert "0.800" in text
    assert "0.750" in text


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("name", ["training", "inference"])
def test_a_missing_gpu_is_one_line(name: str) -> None:
    assert_mistake(run_command(f"benchmark {name}", "--device=cuda"), "device is cuda")


def test_too_few_scenes_to_hold_any_out_are_refused() -> None:
    with pytest.raises(ConfigError, match="--scenes is 4; wanted 5 or more"):
        TrainingSettings(scenes=4)
