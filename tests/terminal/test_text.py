from seg.terminal.text import text_table


def test_columns_are_aligned_and_the_table_is_markdown() -> None:
    assert text_table(["model", "Mpx/s"], [["a", "10.5"], ["longer", "2"]]).splitlines() == [
        "| model  | Mpx/s |",
        "| ------ | ----: |",
        "| a      |  10.5 |",
        "| longer |     2 |",
    ]


def test_a_table_without_rows_has_its_heading() -> None:
    assert text_table(["a"], []).splitlines() == ["| a |", "| - |"]
