from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from seg.benchmark.inference import packages, precisions
from seg.benchmark.inference.compare import benchmark_inference
from seg.benchmark.inference.engine import EngineRun
from seg.benchmark.inference.precisions import (
    ForwardRow,
    PrecisionRow,
    TorchReport,
    class_flips,
    mode_of,
    precisions_on,
    torch_text,
)
from seg.benchmark.settings import InferenceSettings
from seg.labels import IGNORE


def runs_of(precision: str, *seconds: float) -> tuple[EngineRun, ...]:
    return tuple(
        EngineRun(f"torch cuda {precision}", each, 900.0, 4, "1024, halo 32", 1.25, (1056, 1056)) for each in seconds
    )


REPORT = TorchReport(
    "a machine with a GPU",
    megapixels=8.0,
    rows=(
        PrecisionRow("32", runs_of("32", 4.0, 5.0, 9.0), runs_of("32", 8.0)),
        PrecisionRow("bf16", runs_of("bf16", 2.0), runs_of("bf16", 2.5), flips=0.00042),
    ),
    forward=(
        ForwardRow("channels_last", 1, False, 2.5),
        ForwardRow("channels_last", 1, True, 7.0),
        ForwardRow("bf16 mixed", 1, False, 6.25),
        ForwardRow("bf16 mixed", 4, False, None),
    ),
)


def test_the_engine_is_compared_with_the_pass_that_it_computes_and_halo_pixels_count() -> None:
    full, half = REPORT.rows
    assert REPORT.speed(full.runs) == 8 / 5
    assert REPORT.of_bare(full) == pytest.approx(8 / 5 * 1.25 / 2.5)
    assert REPORT.of_bare(half) == pytest.approx(8 / 2 * 1.25 / 6.25)


def test_the_report_shows_class_flips_in_percent_and_a_dash_for_a_failed_pass() -> None:
    text = torch_text(InferenceSettings(device="cuda"), REPORT)
    assert "0.042" in text
    assert text.splitlines()[-1].split("|")[-2].strip() == "-"


def test_pixels_without_a_class_in_either_map_do_not_count(tmp_path: Path, write_raster: Callable[..., Path]) -> None:
    one = write_raster(tmp_path / "one.tif", np.array([[0, 1, 1, IGNORE, 0]], np.uint8))
    other = write_raster(tmp_path / "other.tif", np.array([[0, 0, 1, 1, IGNORE]], np.uint8))
    assert class_flips(one, other) == pytest.approx(1 / 3)


def test_a_gpu_has_three_precisions_and_the_layout_of_the_engine() -> None:
    assert precisions_on(torch.device("cuda")) == ("32", "bf16", "16")
    assert precisions_on(torch.device("cuda"), "bf16") == ("32", "bf16")
    assert [mode_of(name, "cuda").name for name in ("32", "bf16", "16")] == [
        "channels_last",
        "bf16 mixed",
        "fp16 mixed",
    ]
    assert mode_of("32", "cpu").name == "contiguous"


def test_pytorch_on_the_cpu_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Figures are measured in this process, since starting a process for each figure takes most of a minute.
    monkeypatch.setattr(precisions, "in_new_process", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(precisions, "PASSES", 1)
    monkeypatch.setattr(precisions, "BATCHES", (1,))
    monkeypatch.setattr(packages, "TRAINING_STEPS", 1)
    settings = InferenceSettings(
        side=256, repeats=1, model="dilated_tiny_4", block_size=128, threads=1, backend="torch"
    )
    benchmark_inference(settings, tmp_path / "figures.json")
    out = capsys.readouterr().out
    assert "4 blocks of 128" in out
    assert "channels_last" in out
    assert '"flips": null' in (tmp_path / "figures.json").read_text()
