"""Table of areas, parcels and accuracies by zone: `scripts/evaluate.py zones`."""

from pathlib import Path

from seg import __version__
from seg.errors import ConfigError
from seg.evaluation.pairs import is_vector
from seg.evaluation.report.page.text import read_words
from seg.evaluation.report_folder import report_folder
from seg.evaluation.zones.estimate import estimate_zones
from seg.evaluation.zones.page import render_chart, render_zones
from seg.evaluation.zones.polygons import Zones, read_zones
from seg.evaluation.zones.rows import OUTSIDE, WHOLE, Row, zone_rows
from seg.evaluation.zones.settings import ZoneInputs, ZoneSettings
from seg.evaluation.zones.tables import notes_text, write_csv, write_workbook
from seg.evaluation.zones.tally import tally_zones
from seg.files import read_json, require_output_folder, sha256, write_json
from seg.raster.grid import read_grid
from seg.raster.sources import raster_sha256, require_apart, require_replaceable
from seg.terminal.text import counted, text_table

JSON, CSV, WORKBOOK, CHART, PAGE = "zones.json", "zones.csv", "zones.xlsx", "chart.svg", "index.html"
FILES = (JSON, CSV, WORKBOOK, CHART, PAGE)
"""Files of the table; all are renamed into place together."""

SHOWN_ROWS = 30
"""Largest number of zones, and of notes, that are printed."""


def tabulate_zones(inputs: ZoneInputs, output: Path, settings: ZoneSettings) -> list[Row]:
    """Measure a map by zone, print the table, and write it as JSON, CSV, workbook, chart and page.

    Args:
        inputs: Map and zones; a reference and points are optional.
        output: Folder for the files; created if its parent exists.
        settings: Options of the table.

    Returns:
        Rows of the table.

    Raises:
        ConfigError: The folder cannot be made, zones have no names, or the points belong to another map.
        RasterError: A file cannot be read, lies on another grid or holds other values, or zones overlap.
        DatasetError: Points or design cannot be read, do not belong together, or lack references.
        WriteError: A file cannot be written; files of an earlier table do not change.
        ClaimError: Another process writes a table to the folder.
    """
    require_output_folder(output)
    earlier = _require_own(output)
    require_apart([output / name for name in FILES], inputs.files)
    with report_folder(output, FILES) as unfinished:
        zones = read_zones(inputs.zones, read_grid(inputs.prediction), settings.zone_attribute)
        estimates = None
        if inputs.points is not None:
            estimates = estimate_zones(inputs.prediction, zones, inputs.points, inputs.design, settings)
        tally = tally_zones(inputs.prediction, zones, inputs.reference, settings)
        rows = zone_rows(zones, tally, estimates, settings)
        words = read_words("en")
        content = _as_json(inputs, settings, zones, rows)
        headings = read_words(settings.lang)
        write_csv(rows, words, unfinished / CSV)
        write_workbook(rows, headings, unfinished / WORKBOOK)
        chart = render_chart(content, settings.lang)
        (unfinished / CHART).write_text(chart, encoding="utf-8", errors="backslashreplace")
        page = render_zones(content, chart, settings.lang)
        (unfinished / PAGE).write_text(page, encoding="utf-8", errors="backslashreplace")
        files = {name: sha256(unfinished / name) for name in (CSV, WORKBOOK, CHART)}
        content |= {"files": files} | ({"replaced": earlier} if earlier not in ({}, files) else {})
        write_json(content, unfinished / JSON)
        print(_table_text(inputs, zones, rows))
    for name in FILES:
        print(f"written: {output / name}")
    return rows


def _require_own(output: Path) -> dict[str, str]:
    """Check that this command wrote the files to replace, and that nobody has changed them since.

    Returns the hashes of the files of the earlier table.
    """
    for name in (JSON, PAGE):
        require_replaceable(output / name)
    earlier, replaced = _hashes(output / JSON)
    for name in (CSV, WORKBOOK, CHART):
        path = output / name
        # If a run is killed while it moves its files into place, some files of the earlier table remain.
        if path.is_file() and path.stat().st_size and sha256(path) not in {earlier.get(name), replaced.get(name)}:
            raise ConfigError(
                f"{path}: was not written by this command, or has been changed since, so it is not replaced; move it "
                "or name another output"
            )
    return earlier


def _hashes(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Hashes of the files of a table, and of the earlier files that the table replaced."""
    if not path.is_file() or not path.stat().st_size:
        return {}, {}
    content = read_json(path)
    found = [content.get(key) if isinstance(content, dict) else None for key in ("files", "replaced")]
    files, replaced = (dict(one) if isinstance(one, dict) else {} for one in found)
    return files, replaced


def _as_json(inputs: ZoneInputs, settings: ZoneSettings, zones: Zones, rows: list[Row]) -> dict[str, object]:
    words = read_words("en")

    def described(path: Path | None) -> dict[str, object] | None:
        return None if path is None else {"path": str(path), "sha256": sha256(path) if path.is_file() else None}

    reference = inputs.reference
    return {
        "software": {"name": "cropland-seg", "version": __version__},
        "settings": {
            "confidence": settings.confidence,
            "min_parcel": settings.min_parcel,
            "min_points": settings.min_points,
        },
        "map": {"path": str(inputs.prediction), "sha256": raster_sha256(inputs.prediction)},
        "zones": {
            "path": str(inputs.zones),
            "sha256": sha256(inputs.zone_file) if inputs.zone_file.is_file() else None,
            "column": zones.column,
            "count": len(zones),
            "beyond": zones.beyond,
        },
        "reference": described(reference)
        if reference is None or is_vector(reference)
        else {"path": str(reference), "sha256": raster_sha256(reference)},
        "sample": described(inputs.points),
        "rows": [
            row.figures()
            | {
                "cautions": [{"key": one.key, "values": dict(one.values)} for one in row.cautions],
                "notes": notes_text(row.cautions, words),
            }
            for row in rows
        ],
    }


def _table_text(inputs: ZoneInputs, zones: Zones, rows: list[Row]) -> str:
    totals = [row for row in rows if row.zone in (OUTSIDE, WHOLE)]
    listed = [*rows[: min(len(zones), SHOWN_ROWS)], *totals]
    cells = []
    for row in listed:
        share = row.mapped.cropland_share
        line = [row.zone, f"{row.mapped.cropland_ha:,.2f}", f"{row.mapped.cropland_mu:,.1f}"]
        line += ["-" if share is None else f"{share:.1%}", f"{row.mapped.parcels:,}"]
        if row.estimated is not None:
            low, high = row.estimated.low_ha, row.estimated.high_ha
            line.append("-" if low is None or high is None else f"{low:,.1f} to {high:,.1f}")
        if row.compared is not None:
            line += ["-" if value is None else f"{value:.3f}" for value in vars(row.compared).values()][:4]
        cells.append(line)
    columns = ["zone", "cropland ha", "mu", "share", "parcels"]
    columns += ["estimated ha"] * (rows[0].estimated is not None)
    columns += ["MA", "LR", "CR", "IoU"] * (rows[0].compared is not None)
    notes = [f"{row.zone}: {text}" for row in rows if (text := notes_text(row.cautions, read_words("en")))]
    hidden = len(zones) - SHOWN_ROWS
    notes += [f"{hidden} more zones are in {CSV}"] if hidden > 0 else []
    notes += [f"outside the map: {counted(zones.beyond, 'zone')} of {zones.path}"] if zones.beyond else []
    shown = notes[:SHOWN_ROWS] + ["more notes are in the table"] * (len(notes) > SHOWN_ROWS)
    title = f"{inputs.prediction} by {zones.column} of {zones.path}"
    return "\n".join([title, "", text_table(columns, cells), "", *(f"note: {note}" for note in shown)])
