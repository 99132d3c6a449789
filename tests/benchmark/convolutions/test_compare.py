import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seg.benchmark.convolutions.compare import (
    SEPARABLE,
    STANDARD,
    ConvolutionReport,
    kinds_of_convolutions,
    measure_convolutions,
)
from seg.benchmark.convolutions.report import answer
from seg.benchmark.settings import ConvolutionSettings
from support.commands import assert_mistake, run_command

Main = Callable[[Sequence[str]], int]

SMALL = ConvolutionSettings(channels=32, size=16, repeats=1, device="cpu")


@pytest.fixture(scope="module")
def report(quick: None) -> ConvolutionReport:
    return measure_convolutions(SMALL)


def with_speed_of_separable(report: ConvolutionReport, faster: float) -> ConvolutionReport:
    rows = tuple(replace(row, faster=faster) if row.name == SEPARABLE else row for row in report.rows)
    return replace(report, rows=rows)


@torch.inference_mode()
def test_outputs_have_the_same_shape_and_transposed_convolutions_double_the_side() -> None:
    image = torch.zeros(1, 32, 8, 8)
    for name, module in kinds_of_convolutions(32).items():
        side = 16 if "transposed" in name else 8
        assert module(image).shape == (1, 32, side, side), name


def test_costs_follow_the_formulas(report: ConvolutionReport) -> None:
    standard, separable = report.row(STANDARD), report.row(SEPARABLE)
    assert standard.cost.macs == 32 * 32 * 9 * 256
    assert separable.cost.macs == (32 * 9 + 32 * 32) * 256
    assert separable.fewer_macs == standard.cost.macs / separable.cost.macs
    assert (standard.fewer_macs, standard.faster) == (1, 1)


def test_nothing_computes_faster_than_the_ceiling(report: ConvolutionReport) -> None:
    assert max(row.macs_per_second for row in report.rows) <= report.ceilings.macs_per_second


def test_the_answer_is_one_sentence_with_both_factors(report: ConvolutionReport) -> None:
    text = answer(with_speed_of_separable(report, faster=2.5))
    assert "7.02 times fewer parameters" in text
    assert "only 2.50 times as fast" in text
    assert text.endswith(".")
    assert text.count(". ") == 0


def test_a_full_speedup_is_reported_without_the_word_only(report: ConvolutionReport) -> None:
    assert answer(with_speed_of_separable(report, faster=7.0)).endswith("and is 7.00 times as fast.")


def test_the_command_prints_a_row_per_kind_and_writes_json(
    main: Main, quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["convolutions", "--channels=32", "--size=16", "--repeats=1", "--threads=1", "--device=cpu"]
    assert main([*words, f"--output={tmp_path / 'rows.json'}"]) == 0
    captured = capsys.readouterr()
    table = [line for line in captured.out.splitlines() if line.startswith("|")]
    assert captured.err == ""
    for column in ("parameters", "MMAC", "MB moved", "MAC/byte", "ms contiguous", "ms channels_last", "GMAC/s"):
        assert f" {column} " in table[0]
    for column in ("x fewer MACs", "x faster", "roofline ms", "limit"):
        assert f" {column} " in table[0]
    assert len({len(line) for line in table}) == 1
    written = json.loads((tmp_path / "rows.json").read_text())
    assert [row["name"] for row in written["rows"]] == [line.split("|")[1].strip() for line in table[2:]]
    assert all(row["seconds"]["channels_last"] > 0 for row in written["rows"])
    assert written["settings"]["channels"] == 32


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--channels=48"], "channels is 48"),
        (["--repeats=0"], "repeats is 0"),
        (["--size=0"], "size is 0"),
        (["--device=tpu"], "--device is 'tpu'"),
        (["--output=none/rows.json"], "folder none does not exist"),
        (["--output=."], "is a folder"),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_exit_status_2(words: list[str], named: str) -> None:
    assert_mistake(run_command("benchmark convolutions", *words), named)
