"""No errors are found in real datasets; the tests are skipped if the datasets are missing."""

from pathlib import Path

import pytest

from seg.data.checking.check import Options, check_dataset
from seg.data.checking.findings import Severity
from support.project import SCENES


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("preligens_s2glc", []),
        ("dk_lpis_s2", ["one-scene"]),
        ("landsat8_parana_sparse", ["one-scene", "zero-pixels", "sparse-labels"]),
    ],
)
def test_real_datasets_have_only_notes(name: str, notes: list[str]) -> None:
    if not (SCENES / name).is_dir():
        pytest.skip(f"no folder {name} in the scenes; set CROPLAND_SEG_SCENES to the folder that holds it")
    findings = check_dataset(SCENES / name, Options()).findings
    assert [finding.kind for finding in findings] == notes
    assert {finding.severity for finding in findings} <= {Severity.NOTE}


def test_the_demo_dataset_has_only_notes(tmp_path: Path) -> None:
    pytest.importorskip("tensorly")
    from seg.data.sources.indian_pines import write_indian_pines

    write_indian_pines(tmp_path / "demo")
    assert {finding.kind for finding in check_dataset(tmp_path / "demo", Options()).findings} == {"one-class-scene"}
