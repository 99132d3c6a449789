"""County table as CSV and as an Excel workbook with a chart."""

import csv
import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seg.evaluation.report.page.text import shown
from seg.evaluation.zones.rows import OUTSIDE, WHOLE, Caution, Row

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

_PLACES = {"ha": 4, "mu": 3}
"""Decimals of areas, by the ending of the column's name."""

_FORMATS = {"ha": "#,##0.0000", "mu": "#,##0.000"}
_SHARE, _WHOLE_NUMBER = "0.00%", "#,##0"
_SHARES = ("cropland_share", "ma", "lr", "cr", "iou")
_TIMES = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*(<)")
"""Pattern of the times of writing in the properties of a workbook."""

_CHART_ZONES = 40
"""Largest number of zones in the workbook's chart, which shows the first zones of the table."""


def notes_text(cautions: Sequence[Caution], words: dict[str, str]) -> str:
    """Cautions of a row as one text.

    Args:
        cautions: The cautions.
        words: Texts of the page by key.
    """
    texts = []
    for caution in cautions:
        values = {
            name: shown(value, "percent", words["percent"])
            if name == "share" and isinstance(value, float)
            else words.get(str(value), str(value))
            for name, value in caution.values.items()
        }
        texts.append(words[f"zones.caution.{caution.key}"].format(**values))
    return "; ".join(texts)


def write_csv(rows: Sequence[Row], words: dict[str, str], path: Path) -> None:
    """Write the table as CSV in UTF-8 with a byte order mark; without this mark, Excel garbles Chinese names.

    Columns have the names of `Row.figures`; shares run from 0 to 1; undefined figures are empty.

    Args:
        rows: The table.
        words: Texts of the notes in English.
        path: The file.
    """
    with path.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*rows[0].figures(), "notes"])
        for row in rows:
            cells = [_csv_cell(name, value) for name, value in row.figures().items()]
            writer.writerow([*cells, notes_text(row.cautions, words)])


def _csv_cell(name: str, value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    places = _PLACES.get(name.rpartition("_")[2])
    return f"{value:.{places}f}" if places is not None and isinstance(value, float) else value


def write_workbook(rows: Sequence[Row], words: dict[str, str], path: Path) -> None:
    """Write the table as an Excel workbook, with a bar chart of the mapped cropland.

    Args:
        rows: The table.
        words: Headings and texts of the notes by key.
        path: The file.
    """
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font

    workbook = Workbook()
    sheet = workbook.active
    sheet.title = words["zones.table"]
    names = list(rows[0].figures())
    headings = [words["zones.zone"], *(words[f"zones.col.{name}"] for name in names[1:]), words["zones.col.notes"]]
    sheet.append(headings)
    for row in rows:
        _append(sheet, row, words)
    for cell in sheet[1]:
        cell.font, cell.alignment = Font(bold=True), Alignment(wrap_text=True, vertical="top")
    for number, row in enumerate(rows, start=2):
        if row.zone in (OUTSIDE, WHOLE):
            for cell in sheet[number]:
                cell.font = Font(bold=True)
    for place, heading in enumerate(headings):
        longest = max(len(row.zone) for row in rows) if place == 0 else len(heading)
        letter = sheet.cell(1, place + 1).column_letter
        sheet.column_dimensions[letter].width = 60 if place == len(headings) - 1 else min(max(longest + 4, 14), 40)
    sheet.freeze_panes = "B2"
    _add_chart(sheet, sum(row.zone not in (OUTSIDE, WHOLE) for row in rows), words)
    _save(workbook, path)


def _save(workbook: "Workbook", path: Path) -> None:
    """Save a workbook without the time of writing, so that the same table gives the same bytes."""
    content = io.BytesIO()
    workbook.save(content)
    with zipfile.ZipFile(content) as written, zipfile.ZipFile(path, "w") as file:
        for name in written.namelist():
            part = _TIMES.sub(rb"\g<1>1980-01-01T00:00:00Z\g<2>", written.read(name))
            file.writestr(zipfile.ZipInfo(name), part, zipfile.ZIP_DEFLATED)


def _append(sheet: "Worksheet", row: Row, words: dict[str, str]) -> None:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    special = {OUTSIDE: words["zones.outside"], WHOLE: words["zones.whole"]}
    figures = row.figures() | {"zone": special.get(row.zone, row.zone), "notes": notes_text(row.cautions, words)}
    number = sheet.max_row + 1
    for place, (name, value) in enumerate(figures.items(), start=1):
        cell = sheet.cell(number, place)
        if isinstance(value, str):
            # Stored as text, so that a name such as "=A1" does not become a formula.
            cell.value, cell.data_type = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", value), "s"
        elif isinstance(value, bool):
            cell.value = words["zones.yes" if value else "zones.no"]
        else:
            cell.value = value
            ending = name.rpartition("_")[2]
            cell.number_format = _SHARE if name in _SHARES else _FORMATS.get(ending, _WHOLE_NUMBER)


def _add_chart(sheet: "Worksheet", zones: int, words: dict[str, str]) -> None:
    from openpyxl.chart import BarChart, Reference

    chart = BarChart()
    chart.type, chart.style, chart.legend = "bar", 10, None
    chart.title = words["zones.chart"]
    last = 1 + min(zones, _CHART_ZONES)
    chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=last), titles_from_data=True)
    chart.set_categories(Reference(sheet, min_col=1, min_row=2, max_row=last))
    chart.x_axis.scaling.orientation = "maxMin"  # By default, the first bar is the lowest.
    chart.x_axis.delete = chart.y_axis.delete = False
    chart.height, chart.width = max(7.0, 0.6 * last + 3), 24.0
    sheet.add_chart(chart, f"A{sheet.max_row + 3}")
