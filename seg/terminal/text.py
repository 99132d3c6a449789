"""Text on the terminal: aligned Markdown tables, counted nouns, numbers and dates."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from unicodedata import east_asian_width

from seg.errors import ConfigError, require_option


def text_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned Markdown table. The first column is left-aligned; the other columns are right-aligned.

    Args:
        columns: Headings.
        rows: Cells of each row, one per column.
    """
    widths = [max(text_cells(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in (columns, rule, *rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    blanks = [" " * (width - text_cells(cell)) for cell, width in zip(cells, widths, strict=True)]
    padded = [cells[0] + blanks[0], *(blank + cell for cell, blank in zip(cells[1:], blanks[1:], strict=True))]
    return "| " + " | ".join(padded) + " |"


def text_cells(text: str) -> int:
    """Width of a text in a terminal: a Chinese character takes two cells, any other character one."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def counted(number: int, noun: str) -> str:
    """Number and noun: "1 block", "2 blocks"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def first_numbers(values: Iterable[float], most: int = 4) -> str:
    """First numbers of a sequence as text, four significant digits each, then "..." if there are more numbers."""
    shown = [f"{value:.4g}" for value in islice(values, most + 1)]
    return ", ".join(shown[:most] + ["..."] * (len(shown) > most))


def number(value: float | None) -> str:
    """Format a number with about three significant digits; "-" for None."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3f}"


def observed_between(text: str, option: str) -> tuple[datetime, datetime]:
    """First and last moment of a date, a time or an interval, in UTC.

    Args:
        text: A date such as 2025-06-12, a time such as 2025-06-12T03:05:11Z, or two of them with a slash between. A
            date stands for the whole day; a time without a zone is in UTC.
        option: Name of the option, for errors.

    Raises:
        ConfigError: The text is not a date, or the interval ends before it starts.
    """
    parts = [part.strip() for part in text.split("/")]
    wanted = "a date such as 2025-06-12, or an interval such as 2025-05-01/2025-06-30"
    try:
        first, last = _moment(parts[0], False), _moment(parts[-1], True)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"--{option} is '{text}'; wanted {wanted}") from error
    require_option(len(parts) <= 2 and first <= last, option, text, wanted)
    return first, last


def _moment(text: str, at_end: bool) -> datetime:
    moment = datetime.fromisoformat(text)
    if "T" not in text and at_end:
        moment = moment.replace(hour=23, minute=59, second=59)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def utc_text(moment: datetime) -> str:
    """RFC 3339 text of a moment in UTC, as STAC and fiboa require."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
