import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from seg.benchmark import models
from seg.benchmark.models import ONNX, OnnxRuns
from seg.benchmark.timing import Candidate
from seg.errors import ConfigError
from support.commands import assert_mistake, run_command

Main = Callable[[Sequence[str]], int]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_command_prints_a_row_per_model_and_writes_json(
    main: Main, quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["models", "--size=32", "--bands=2", "--repeats=1", "--threads=1", "--device=cpu", "--models=small"]
    assert main([*words, f"--output={tmp_path / 'rows.json'}"]) == 0
    captured = capsys.readouterr()
    titles, _, row = [cells(line) for line in captured.out.splitlines() if line.startswith("|")]
    assert captured.err == ""
    assert titles[:5] == ["model", "M parameters", "GMAC/Mpx", "MB/Mpx", "MAC/byte"]
    assert titles[5:] == ["Mpx/s contiguous", "Mpx/s channels_last", "Mpx/s ONNX on CPU", "radius"]
    assert row[0] == "small"
    assert row[-1].endswith(" px")
    assert "-" not in row
    [written] = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert written["receptive_field_radius"] == int(row[-1].removesuffix(" px"))
    assert written["seconds"][ONNX] > 0


def test_a_missing_onnx_time_is_a_dash_and_an_unbounded_receptive_field_is_the_whole_window(
    main: Main, quick: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> Candidate:
        raise ConfigError("for PyTorch alone")

    monkeypatch.setattr(models, "onnx_candidate", refuse)
    monkeypatch.setattr(models, "receptive_field_radius", lambda *_: None)
    assert main(["models", "--size=16", "--repeats=1", "--device=cpu", "--models=[small,global]"]) == 0
    rows = [cells(line) for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    assert [row[0] for row in rows] == ["small", "global"]
    assert [row[-2:] for row in rows] == [["-", "whole window"]] * 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--models=resnet18_16,unett"], ["models has 'unett'", "unet_resnet18", "segformer_mit_b0"]),
        (["--models=[unett]"], ["models has 'unett'"]),
        (["--repeats=0"], ["repeats is 0"]),
        (["--size=0"], ["size is 0"]),
        (["--output=none/rows.json"], ["folder none does not exist"]),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_exit_status_2(words: list[str], named: list[str]) -> None:
    assert_mistake(run_command("benchmark models", *words), *named)


class FakeSession:
    """A session that counts its runs."""

    runs = 0

    def __init__(self, content: bytes, options: object, providers: list[str]) -> None:
        self.content = content

    def run(self, outputs: list[str], inputs: dict[str, object]) -> None:
        FakeSession.runs += 1


def test_a_session_is_open_and_warm_only_during_a_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.onnxruntime, "InferenceSession", FakeSession)
    monkeypatch.setattr(FakeSession, "runs", 0)
    runs = OnnxRuns(b"", (1, 2, 8, 8), threads=1)
    assert runs.session is None
    runs.open()
    assert FakeSession.runs == 1
    runs.run()
    assert FakeSession.runs == 2
    runs.close()
    assert runs.session is None
