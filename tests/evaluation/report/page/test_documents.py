import json
from pathlib import Path

import pytest

from report_samples import AREA
from seg.errors import ConfigError
from seg.evaluation.report.page.documents import read_area_estimate


def test_area_estimate_is_read(tmp_path: Path) -> None:
    path = tmp_path / "area.json"
    path.write_text(json.dumps(AREA), encoding="utf-8")
    assert read_area_estimate(path) == AREA
    assert read_area_estimate(None) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("{", "is no JSON"),
        ("[]", "has no classes, confidence"),
        (json.dumps({**AREA, "classes": 0} | {"samples": 1}).replace('"strata"', '"layers"'), "has no strata;"),
    ],
)
def test_wrong_area_estimate_is_one_line(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "area.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_area_estimate(path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "wanted the area.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_estimate_of_other_classes_than_cropland_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "area.json"
    rows = [
        row | {"name": name} for row, name in zip(AREA["classes"], ("gained cropland", "lost cropland"), strict=True)
    ]
    path.write_text(json.dumps(AREA | {"classes": rows}), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"area\.json: estimates gained cropland, lost cropland; wanted"):
        read_area_estimate(path)
