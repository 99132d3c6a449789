"""Text for the terminal: aligned Markdown tables, and counted nouns."""

from collections.abc import Iterable, Sequence
from itertools import islice
from unicodedata import east_asian_width


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
