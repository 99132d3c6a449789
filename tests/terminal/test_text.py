import pytest

from seg.terminal.text import first_numbers, number, text_table


def test_columns_are_aligned_and_the_table_is_markdown() -> None:
    assert text_table(["model", "Mpx/s"], [["a", "10.5"], ["longer", "2"]]).splitlines() == [
        "| model  | Mpx/s |",
        "| ------ | ----: |",
        "| a      |  10.5 |",
        "| longer |     2 |",
    ]


def test_a_table_without_rows_has_its_heading() -> None:
    assert text_table(["a"], []).splitlines() == ["| a |", "| - |"]


def test_the_first_of_many_numbers_are_shown() -> None:
    assert first_numbers([1, 2.0, 12345.6]) == "1, 2, 1.235e+04"
    assert first_numbers(range(5)) == "0, 1, 2, 3, ..."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0.00"),
        (0.1234, "0.123"),
        (8.414, "8.41"),
        (33.23, "33.2"),
        (604.0, "604"),
        (12345.6, "12,346"),
    ],
)
def test_about_three_digits_of_a_number_are_written(value: float | None, text: str) -> None:
    assert number(value) == text
