from dataclasses import dataclass

import pytest

from seg.evaluation.plain_values import from_plain


@dataclass(frozen=True)
class Inner:
    name: str
    share: float | None = None


@dataclass(frozen=True)
class Outer:
    count: int
    sure: bool
    parts: tuple[Inner, ...]
    shares: dict[str, float]
    options: dict[str, object]
    places: tuple[tuple[int, ...], ...] = ()


PLAIN = {
    "count": 3,
    "sure": True,
    "parts": [{"name": "a"}, {"name": "b", "share": 1, "more": 5}],
    "shares": {"a": 0.5},
    "options": {"seed": None},
    "places": [[1], [2, 3]],
    "unknown": 1,
}


def test_plain_values_become_dataclasses() -> None:
    parts = (Inner("a"), Inner("b", 1))
    assert from_plain(Outer, PLAIN) == Outer(3, True, parts, {"a": 0.5}, {"seed": None}, ((1,), (2, 3)))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([], "it is []; wanted values by name"),
        ({key: value for key, value in PLAIN.items() if key != "count"}, "it has no count"),
        (PLAIN | {"count": 3.0}, "count is 3.0; wanted a whole number"),
        (PLAIN | {"count": True}, "count is True; wanted a whole number"),
        (PLAIN | {"sure": 1}, "sure is 1; wanted true or false"),
        (PLAIN | {"parts": {}}, "parts is {}; wanted a list"),
        (PLAIN | {"parts": [{}]}, "parts.0 has no name"),
        (PLAIN | {"parts": [{"name": "a", "share": "x"}]}, "parts.0.share is 'x'; wanted a number"),
        (PLAIN | {"shares": {"a": float("nan")}}, "shares.a is nan; wanted a finite number"),
        (PLAIN | {"places": [[1], 2]}, "places.1 is 2; wanted a list"),
        (PLAIN | {"count": "x" * 500}, f"count is '{'x' * 36}...; wanted a whole number"),
    ],
)
def test_a_value_of_another_type_is_named_in_the_error(values: object, problem: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the whole message is compared
        from_plain(Outer, values)
    assert str(caught.value) == problem
