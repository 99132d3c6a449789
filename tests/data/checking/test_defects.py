"""The check of a dataset with one defect reports its kind, severity and file, and nothing else."""

import pytest

from seg.data.checking.check import Options, check_dataset
from seg.data.checking.findings import Severity
from support.planted_dataset import FOLDS, PlantedDataset
from support.planted_defects import ERRORS, TOGETHER, WARNINGS, in_folders


def found(dataset: PlantedDataset) -> list[tuple[str, str, str]]:
    """Severity, kind and file of errors and warnings."""
    report = check_dataset(dataset.root, Options(folds=FOLDS))
    for finding in report.findings:
        assert finding.message.startswith(f"{finding.file}: ")
        assert "\n" not in finding.message
    serious = [finding for finding in report.findings if finding.severity is not Severity.NOTE]
    return [(f.severity.value, f.kind, f.file.relative_to(dataset.root).as_posix()) for f in serious]


def test_a_clean_dataset_has_no_findings(dataset: PlantedDataset) -> None:
    assert check_dataset(dataset.root, Options(folds=FOLDS)).findings == ()


def test_clean_folders_without_a_manifest_have_no_findings(dataset: PlantedDataset) -> None:
    in_folders(dataset)
    assert check_dataset(dataset.root, Options(folds=FOLDS)).findings == ()


@pytest.mark.parametrize("defect", ERRORS)
def test_an_error_is_found_without_other_findings(dataset: PlantedDataset, defect: str) -> None:
    plant, kind, file = ERRORS[defect]
    plant(dataset)
    assert found(dataset) == [("error", kind, file)]


@pytest.mark.parametrize("defect", WARNINGS)
def test_a_warning_is_found_without_other_findings(dataset: PlantedDataset, defect: str) -> None:
    plant, kind, file = WARNINGS[defect]
    plant(dataset)
    assert found(dataset) == [("warning", kind, file)]


@pytest.mark.parametrize("defect", TOGETHER)
def test_a_defect_is_found_together_with_its_consequences(dataset: PlantedDataset, defect: str) -> None:
    plant, expected = TOGETHER[defect]
    plant(dataset)
    findings = found(dataset)
    assert set(findings) == expected
    assert len(findings) == len(expected)


def test_scene_too_large_to_be_loaded_whole_is_found(dataset: PlantedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seg.data.dataset.checks.MAX_VALUES", 17 * 18 * 3 - 1)
    assert found(dataset) == [("error", "too-large", "images/scene_3.tif")]
