import pytest

from seg.benchmark.reporting import number


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
