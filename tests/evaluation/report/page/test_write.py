import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio import Affine

from seg.errors import ConfigError
from seg.evaluation.evaluate import evaluate
from seg.evaluation.pairs import Inputs
from seg.evaluation.report.page.write import read_area_estimate
from seg.evaluation.settings import EvaluationSettings, PageSettings
from seg.labels import CROPLAND, IGNORE, OTHER
from support.report_samples import AREA, HOSTILE, Report, write_raster

VOID = {"br", "col", "hr", "img", "input", "link", "meta"}


class Page(HTMLParser):
    """Parser that collects tags with attributes and the text of scripts; fails if tags are not nested."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, str] = {}
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())
        if self.open and self.open[-1] == "script":
            attributes = self.tags[-1][1]
            self.scripts[attributes.get("id") or "main"] = data

    def values(self, *attributes: str) -> list[str]:
        return [value or "" for _, own in self.tags for name, value in own.items() if name in attributes]


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(report.html)


def test_tags_nest_and_ids_are_unique(page: Page, report_zh: Report) -> None:
    for parsed in (page, Page(report_zh.html)):
        assert parsed.open == []
        ids = parsed.values("id")
        assert len(ids) == len(set(ids))
        named = {one for value in parsed.values("aria-labelledby", "aria-describedby", "for") for one in value.split()}
        assert named <= set(ids)
        assert {link[1:] for link in parsed.values("href") if link.startswith("#")} <= set(ids)


def test_page_has_no_external_references(page: Page, report: Report) -> None:
    assert all(link.startswith(("data:", "#")) for link in page.values("src", "href", "srcset", "action", "poster"))
    assert "@import" not in report.html
    assert not re.search(r"url\(", report.html)
    policy = next(own["content"] for tag, own in page.tags if own.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy


def test_documents_in_the_page_equal_the_files(page: Page, report: Report) -> None:
    assert json.loads(page.scripts["accuracy"]) == report.accuracy
    assert json.loads(page.scripts["area-estimate"]) == AREA


def test_file_names_do_not_become_markup(page: Page, report: Report) -> None:
    assert HOSTILE in [pair["name"] for pair in report.accuracy["pairs"]]
    assert "a<b>" not in report.html
    assert HOSTILE in [option["name"] for option in json.loads(page.scripts["map-data"])["scenes"]]
    assert page.texts.count(HOSTILE) == 3  # the list of scenes, the table of scenes, the list of files


def test_page_stays_below_its_size_limit(report: Report) -> None:
    assert (report.folder / "index.html").stat().st_size < 3_000_000


def test_every_number_has_its_path_and_value(page: Page, report: Report) -> None:
    documents: Any = {"accuracy": report.accuracy, "area": AREA}
    shown = [own for tag, own in page.tags if tag == "data"]
    for own in shown:
        found = documents
        for key in (own["data-path"] or "").split("."):
            found = found[int(key)] if isinstance(found, list) else found[key]
        assert float(own["value"] or "") == found, own["data-path"]
    assert len(shown) > 100


def test_same_comparison_gives_the_same_bytes(report: Report, write_report: Any) -> None:  # noqa: ANN401
    assert write_report("en", AREA).html == report.html


def test_controls_have_names(page: Page) -> None:
    labelled = {own["for"] for tag, own in page.tags if tag == "label" and own.get("for")}
    for tag, own in page.tags:
        if tag in {"select", "input"} and own.get("id") in {"scene", "opacity"}:
            assert own["id"] in labelled
        if tag == "img":
            assert own["alt"]


def test_chinese_page_declares_its_language(report_zh: Report) -> None:
    assert '<html lang="zh-Hans">' in report_zh.html
    for term in ("交并比", "用户精度", "生产者精度", "总体精度", "可靠性图", "混淆矩阵", "置信区间"):
        assert term in report_zh.html


def test_page_has_no_section_for_a_missing_area_estimate(report_zh: Report) -> None:
    assert 'id="area"' not in report_zh.html
    assert "#area" not in report_zh.html


def test_comparison_without_defined_scores_and_optional_files_has_a_page(tmp_path: Path) -> None:
    """Scores are undefined, since map and reference hold no cropland; optional files are missing."""
    for name in ("map", "mask"):
        write_raster(tmp_path / f"{name}.tif", np.zeros((20, 30), np.uint8), crs=None, transform=Affine.identity())
    inputs = Inputs(tmp_path / "map.tif", tmp_path / "mask.tif")
    evaluate(inputs, tmp_path / "report", EvaluationSettings(bootstrap=0), PageSettings(lang="zh"))
    page = Page((tmp_path / "report" / "index.html").read_text(encoding="utf-8"))
    assert json.loads(page.scripts["accuracy"])["scores"]["iou"]["value"] is None
    undefined = [own.get("data-path") for _, own in page.tags if own.get("class") == "missing"]
    assert "accuracy.scores.iou.value" in undefined
    assert {"curves", "strata", "area"}.isdisjoint(page.values("id"))


def test_boundaries_without_scores_have_a_note(tmp_path: Path) -> None:
    labels = np.repeat([CROPLAND, IGNORE, OTHER], [800, 200, 600]).astype(np.uint8).reshape(40, 40)
    write_raster(tmp_path / "map.tif", np.where(labels == IGNORE, OTHER, labels))
    write_raster(tmp_path / "mask.tif", labels)
    evaluate(Inputs(tmp_path / "map.tif", tmp_path / "mask.tif"), tmp_path / "report", EvaluationSettings(bootstrap=0))
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "Not scored: in the reference, no cropland pixel is next to a pixel of class other" in html
    assert "accuracy.boundary.0.f1" not in html


def test_area_estimate_is_read(tmp_path: Path) -> None:
    path = tmp_path / "area.json"
    path.write_text(json.dumps(AREA), encoding="utf-8")
    assert read_area_estimate(path) == AREA
    assert read_area_estimate(None) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("{", "not an estimate of areas (Expecting property name"),
        ("[]", "not an estimate of areas (it is []; wanted values by name)"),
        ('{"samples": 1' + "0" * 5000 + "}", "not an estimate of areas (a number has 5001 digits, too many"),
        ("[" * 100_000, "not an estimate of areas (it is nested too deeply)"),
        (json.dumps(AREA).replace('"strata"', '"layers"'), "not an estimate of areas (it has no strata)"),
        (json.dumps(AREA | {"classes": 0}), "not an estimate of areas (classes is 0; wanted a list)"),
        (json.dumps(AREA | {"confidence": "high"}), "not an estimate of areas (confidence is 'high'; wanted a number)"),
        (
            json.dumps(AREA).replace("0.93", "NaN"),
            "not an estimate of areas (classes.0.users_accuracy.value is nan; wanted a finite number)",
        ),
        (json.dumps(AREA | {"confusion": [[1, 2]]}), "not an estimate of areas (confusion does not have 2 rows"),
    ],
)
def test_wrong_area_estimate_is_refused_in_one_line(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "area.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_area_estimate(path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "wanted the area.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_estimate_of_other_classes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "area.json"
    rows = [
        row | {"name": name} for row, name in zip(AREA["classes"], ("gained cropland", "lost cropland"), strict=True)
    ]
    path.write_text(
        json.dumps(AREA | {"classes": rows, "pixel_count": {"gained_cropland_ha": 1, "lost_cropland_ha": 1}}),
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=r"area\.json: estimates gained cropland, lost cropland; wanted"):
        read_area_estimate(path)
