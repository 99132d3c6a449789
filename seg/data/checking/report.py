"""Reports of a dataset's check, as text and JSON, and the command that checks and reports."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from seg import __version__
from seg.data.checking.check import Options, Report, check_dataset
from seg.data.checking.findings import Finding, Severity
from seg.data.checking.listing import list_scenes
from seg.data.checking.pixels import BandValues, PixelSummary
from seg.data.checking.scenes import CheckedScene
from seg.data.checking.unlabelled import NO_FOLD
from seg.data.dataset.checks import LabelCounts
from seg.data.dataset.unlabelled import read_unlabelled
from seg.errors import DatasetError
from seg.files import complete_or_absent, require_output_file
from seg.raster.sources import require_apart, require_replaceable
from seg.terminal.text import counted, text_table

SHOWN_BANDS = 4
SHOWN_FINDINGS = 10
"""Largest number of findings of one kind and severity in the text report; the JSON report has all findings."""

_COLUMNS = ("scene", "fold", "width", "height", "bands", "type", "cropland", "other", "ignore", "valid")


def text_report(report: Report) -> str:
    """Report as text: scenes, totals and findings."""
    shown = report.bands[:SHOWN_BANDS]
    rows = [[*_COLUMNS, *(f"band {band}" for band in shown)]]
    rows += [_row(scene, len(shown)) for scene in (*report.scenes, *report.unlabelled)]
    rows.append(_total_row(report, len(shown)))
    lines = [text_table(rows[0], rows[1:])] if report.scenes else []
    if report.scenes:
        more = f"; {len(report.bands)} bands were read" if len(report.bands) > SHOWN_BANDS else ""
        lines += ["", f"Shares refer to all pixels. Bands show minimum, median and maximum of the valid pixels{more}."]
    lines += ["", *_finding_lines(report.findings)] if report.findings else []
    return "\n".join([*lines, "", verdict(report)]).lstrip("\n")


def verdict(report: Report) -> str:
    """One line with the number of findings of each severity."""
    counts = [(severity, report.count(severity)) for severity in Severity]
    found = ", ".join(counted(count, severity) for severity, count in counts)
    scenes = counted(len(report.scenes), "scene")
    scenes += f" and {len(report.unlabelled)} unlabelled" if report.unlabelled else ""
    return f"{report.root}: {scenes}, {found}"


def json_report(report: Report) -> str:
    """Report as JSON, with all measurements and findings."""
    content = {
        "software": {"name": "cropland-seg", "version": __version__},
        "dataset": str(report.root),
        "options": {"bands": list(report.bands), "nodata": report.options.nodata, "folds": report.options.folds},
        "counts": {f"{severity}s": report.count(severity) for severity in Severity},
        "totals": _totals(report),
        "findings": [
            {"severity": f.severity.value, "kind": f.kind, "file": str(f.file), "message": f.message}
            for f in report.findings
        ],
        "scenes": [_scene_json(scene) for scene in report.scenes],
        "unlabelled": [
            {name: value for name, value in _scene_json(scene).items() if name not in ("mask", "fold", "labels")}
            for scene in report.unlabelled
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


def _row(scene: CheckedScene, bands: int) -> list[str]:
    grid, pixels = scene.grid, scene.pixels
    size = [str(grid.width), str(grid.height), str(grid.bands), grid.dtype] if grid else ["-"] * 4
    values = [_values(band) for band in pixels.bands[:bands]] if pixels else []
    values += ["-"] * (bands - len(values))
    fold = "-" if scene.scene.fold == NO_FOLD else str(scene.scene.fold)
    return [scene.scene.image.name, fold, *size, *_shares(pixels), *values]


def _total_row(report: Report, bands: int) -> list[str]:
    totals = _totals(report)
    pixels = totals["pixels"]
    counts = [totals["cropland"], totals["other"], totals["ignore"], pixels - totals["nodata"]]
    shares = [f"{count / pixels:.1%}" if pixels else "-" for count in counts]
    measured = [scene.pixels.bands for scene in report.scenes if scene.pixels and scene.pixels.bands]
    values = [
        f"{_figure(min(each[i].minimum for each in measured))} – {_figure(max(each[i].maximum for each in measured))}"
        if measured
        else "-"
        for i in range(bands)
    ]
    return ["all", "", "", "", "", "", *shares, *values]


def _totals(report: Report) -> dict[str, int]:
    """Pixel counts over the scenes with a usable image and mask."""
    known = [(scene.pixels, scene.labels) for scene in report.scenes if scene.pixels and scene.labels]
    return {
        "scenes": len(report.scenes),
        "scenes_measured": len(known),
        "pixels": sum(pixels.total for pixels, _ in known),
        "cropland": sum(labels.cropland for _, labels in known),
        "other": sum(labels.other for _, labels in known),
        "ignore": sum(labels.ignored for _, labels in known),
        "nodata": sum(pixels.total - pixels.valid for pixels, _ in known),
    }


def _shares(pixels: PixelSummary | None) -> list[str]:
    if pixels is None:
        return ["-"] * 4
    labels = pixels.labels
    counts = [labels.cropland, labels.other, labels.ignored] if labels else []
    shares = [f"{count / pixels.total:.1%}" for count in counts] or ["-"] * 3
    return [*shares, f"{pixels.valid / pixels.total:.1%}"]


def _values(band: BandValues) -> str:
    return f"{_figure(band.minimum)} – {_figure(band.median)} – {_figure(band.maximum)}"


def _figure(value: float) -> str:
    return f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"


def _finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    shown: dict[tuple[Severity, str], int] = {}
    for finding in findings:
        key = finding.severity, finding.kind
        shown[key] = shown.get(key, 0) + 1
        if shown[key] <= SHOWN_FINDINGS:
            yield f"{finding.severity} [{finding.kind}] {finding.message}"
    for (severity, kind), count in shown.items():
        if count > SHOWN_FINDINGS:
            yield f"{severity} [{kind}] ... and {count - SHOWN_FINDINGS} more; --json lists all"


def _scene_json(scene: CheckedScene) -> dict[str, object]:
    grid, pixels = scene.grid, scene.pixels
    content: dict[str, object] = {
        "image": str(scene.scene.image),
        "mask": str(scene.scene.mask),
        "fold": scene.scene.fold,
    }
    if grid is not None:
        content |= {
            "width": grid.width,
            "height": grid.height,
            "bands": grid.bands,
            "dtype": grid.dtype,
            "crs": grid.crs.to_string() if grid.crs else None,
            "pixel_size_m": grid.pixel_size_m,
        }
    if pixels is not None:
        content |= {"valid": pixels.valid, "nodata": pixels.total - pixels.valid}
        content["labels"] = _labels_json(pixels.labels) if pixels.labels else None
        content["values"] = [vars(band) for band in pixels.bands]
    return content


def _labels_json(labels: LabelCounts) -> dict[str, int]:
    return {"cropland": labels.cropland, "other": labels.other, "ignore": labels.ignored}


def run_check(root: Path, options: Options, output: Path | None, sheet: Path | None, as_json: bool) -> None:
    """Check a dataset, print the report, and write it to files.

    Args:
        root: The dataset.
        options: Training settings that the check assumes.
        output: JSON file to write, or None.
        sheet: Contact sheet to write (PNG), or None.
        as_json: Print JSON instead of text.

    Raises:
        ConfigError: An output has a wrong name, is one of the inputs, or was written by another program.
        WriteError: An output cannot be written.
        DatasetError: The dataset is missing, or the check found an error.
    """
    for path, suffix in ((output, ".json"), (sheet, ".png")):
        if path is not None:
            require_output_file(path, [suffix])
    scenes = list_scenes(root, options.folds, options.labels).scenes
    files = [path for scene in scenes for path in (scene.image, scene.mask)]
    files += [scene.image for scene in read_unlabelled(root, options.unlabelled, options.fold)]
    for path in (output, sheet):
        if path is not None:
            require_replaceable(path)
    require_apart([path for path in (output, sheet) if path is not None], files)
    report = check_dataset(root, options)
    print(json_report(report) if as_json else text_report(report))
    if output is not None:
        with complete_or_absent(output) as temporary:
            # If a name is not UTF-8, its bytes are written as JSON escapes.
            temporary.write_text(json_report(report) + "\n", encoding="utf-8", errors="backslashreplace")
    if sheet is not None:
        from seg.data.checking.sheet import draw_sheet

        draw_sheet(report, sheet)
    errors = report.count(Severity.ERROR)
    if errors:
        more = f" ({errors} errors in all)" if errors > 1 else ""
        raise DatasetError(f"{report.findings[0].message}{more}")
