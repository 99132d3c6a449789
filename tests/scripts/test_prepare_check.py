import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from support.commands import assert_mistake, run_command
from support.planted_dataset import PlantedDataset, clean_dataset

Main = Callable[[Sequence[str]], int]


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path], write_raster: Callable[..., Path]) -> PlantedDataset:
    return clean_dataset(tmp_path / "fields", make_dataset, write_raster)


def test_clean_dataset_gives_status_0_and_a_report_on_standard_output(
    main: Main, dataset: PlantedDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--input", str(dataset.root), "--folds=3"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines()[-1] == f"{dataset.root}: 4 scenes, 0 errors, 0 warnings, 0 notes"


def test_warning_gives_status_0(main: Main, dataset: PlantedDataset, capsys: pytest.CaptureFixture[str]) -> None:
    dataset.fill_mask(1, 0)
    assert main(["check", "--input", str(dataset.root), "--folds=3"]) == 0
    assert "warning [one-class-scene]" in capsys.readouterr().out


def test_errors_give_status_2_with_the_whole_report_and_one_line_on_standard_error(
    main: Main, dataset: PlantedDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset.image(1).write_text("notes")
    dataset.rewrite(dataset.mask(2), nodata=0)
    assert main(["check", "--input", str(dataset.root), "--folds=3"]) == 2
    captured = capsys.readouterr()
    assert captured.out.count("error [") == 2
    [line] = captured.err.splitlines()
    assert line.startswith(f"error: {dataset.image(1)}: ")
    assert line.endswith("(2 errors in all)")


def test_json_is_printed_and_written_to_the_output(
    main: Main, dataset: PlantedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset.rewrite(dataset.mask(2), nodata=0)
    output = tmp_path / "report.json"
    assert main(["check", "--input", str(dataset.root), "--folds=3", "--json", f"--output={output}"]) == 2
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(output.read_text(encoding="utf-8"))
    assert printed["counts"] == {"errors": 1, "warnings": 0, "notes": 0}
    assert printed["findings"][0]["kind"] == "mask-nodata"
    assert printed["findings"][0]["file"] == str(dataset.mask(2))


def test_sheet_is_written_also_when_there_are_errors(main: Main, dataset: PlantedDataset, tmp_path: Path) -> None:
    dataset.image(1).write_text("notes")
    assert main(["check", "--input", str(dataset.root), f"--sheet={tmp_path / 'sheet.png'}"]) == 2
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_bands_and_nodata_are_read_as_in_training(
    main: Main, dataset: PlantedDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", "--input", str(dataset.root), "--folds=3", "--json"]
    assert main([*words, "--bands=[3,1]", "--nodata=1000"]) == 0
    assert json.loads(capsys.readouterr().out)["options"] == {"bands": [3, 1], "nodata": 1000.0, "folds": 3}
    assert main([*words, "--bands=[4]"]) == 2
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["kind"] for finding in findings] == ["too-few-bands"] * 4


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--input", "{root}/nowhere"], "no such folder"),
        (["--input", "{root}", "--folds=0"], "folds is 0"),
        (["--input", "{root}", f"--folds={10**9}"], f"--folds is {10**9}; wanted at most 1,000"),
        (["--input", "{root}", "--output={root}/manifest.csv"], "wanted a file name that ends in .json"),
        (["--input", "{root}", "--output={root}/nowhere/report.json"], "does not exist"),
        (["--input", "{root}", "--sheet={root}"], "is a folder; name a file"),
    ],
)
def test_mistake_on_the_command_line_is_reported_in_one_line_with_status_2(
    dataset: PlantedDataset, words: list[str], problem: str
) -> None:
    before = sorted(dataset.root.rglob("*"))
    assert_mistake(run_command("prepare check", *(word.format(root=dataset.root) for word in words)), problem)
    assert sorted(dataset.root.rglob("*")) == before


def test_unwritable_output_folder_is_refused_in_one_line_with_status_2(
    main: Main, dataset: PlantedDataset, unwritable: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", "--input", str(dataset.root), "--folds=3", f"--output={unwritable / 'report.json'}"]
    assert main(words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {unwritable / 'report.json'}: cannot be written (")


def test_checking_does_not_load_torch() -> None:
    command = "import sys; import seg.data.checking.report, seg.data.checking.sheet; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command]).returncode == 0
