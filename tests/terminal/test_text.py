from seg.terminal.text import first_numbers, text_table


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
