import numpy as np
import pytest

from seg.places.choosing import Candidates, choose_squares, zone_quotas

FAR = np.column_stack([np.arange(6) * 0.1, np.zeros(6)])
"""Centres about 11 km apart."""


def candidates(entropy: list[float], vectors: list[list[float]], **others: object) -> Candidates:
    given = {"centres": FAR[: len(entropy)], "zones": [""] * len(entropy)} | others
    return Candidates(np.array(entropy), np.array(vectors), **given)


def indexes(given: Candidates, count: int, distance: float = 0.0) -> list[int]:
    return [chosen.index for chosen in choose_squares(given, count, distance)]


def test_of_equally_unsure_squares_the_most_different_come_first() -> None:
    vectors = [[0.0, 0], [0.1, 0], [10, 0], [10.1, 0], [0, 10], [0, 10.1]]
    chosen = indexes(candidates([0.5] * 6, vectors), 3)
    assert {number // 2 for number in chosen} == {0, 1, 2}


def test_of_equally_different_squares_the_least_sure_comes_first() -> None:
    vectors = [[0.0, 0], [1, 0], [0, 1], [1, 1]]
    assert indexes(candidates([0.1, 0.2, 0.9, 0.3], vectors), 1) == [2]


def test_no_square_is_chosen_twice() -> None:
    chosen = indexes(candidates([0.5] * 4, [[1.0, 2.0]] * 4), 4)
    assert sorted(chosen) == [0, 1, 2, 3]


def test_squares_keep_their_distance() -> None:
    given = candidates([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], np.eye(6).tolist())
    chosen = indexes(given, 6, 20_000)
    assert 2 <= len(chosen) <= 3
    assert min(abs(a - b) for a in chosen for b in chosen if a != b) >= 2


def test_similarity_to_examples_replaces_uncertainty() -> None:
    given = candidates([1.0, 0.0, 0.5], np.eye(3).tolist(), similarity=np.array([-0.2, 0.9, 0.4]))
    chosen = choose_squares(given, 2, 0)
    assert [one.index for one in chosen] == [1, 2]
    assert chosen[0].reason == "similarity 0.90 to the examples"


def test_every_zone_gets_its_quota() -> None:
    zones = ["a", "a", "a", "a", "b", "b"]
    given = candidates([0.9, 0.9, 0.9, 0.9, 0.1, 0.1], np.eye(6).tolist(), zones=zones)
    assert [zones[number] for number in indexes(given, 3)].count("b") == 1


@pytest.mark.parametrize(
    ("sizes", "count", "expected"),
    [
        ({"a": 6, "b": 3}, 6, {"a": 4, "b": 2}),
        ({"a": 99, "b": 1}, 5, {"a": 4, "b": 1}),
        ({"a": 1, "b": 1, "c": 98}, 10, {"a": 1, "b": 1, "c": 8}),
        ({"a": 2, "b": 2, "c": 9}, 2, None),
    ],
)
def test_quotas_sum_to_the_number_of_squares(
    sizes: dict[str, int], count: int, expected: dict[str, int] | None
) -> None:
    quotas = zone_quotas([name for name, size in sizes.items() for _ in range(size)], count)
    assert sum(quotas.values()) == count
    assert expected is None or quotas == expected


def test_reasons_state_uncertainty_and_novelty() -> None:
    first, second = choose_squares(candidates([0.2, 0.9, 0.5], np.eye(3).tolist()), 2, 0)
    assert first.reason.startswith("less certain than 67% of the squares (entropy 0.90 bits)")
    assert first.reason.endswith("from the mean of the place")
    assert second.reason.endswith("from the earlier squares")


def test_squares_near_labelled_squares_come_last() -> None:
    vectors = [[0.0, 0], [0, 1], [5, 0], [5, 1]]
    labelled = np.array([[5.0, 0.5]])
    chosen = choose_squares(candidates([0.5] * 4, vectors, labelled=labelled), 2, 0)
    assert {one.index for one in chosen} == {0, 1}
    assert chosen[0].reason.endswith("from the labelled and earlier squares")


def test_an_outlier_does_not_come_before_uncertain_squares() -> None:
    random = np.random.default_rng(0)
    vectors = [*random.normal(size=(30, 2)).tolist(), [60.0, 60.0]]
    centres = np.column_stack([np.arange(31) * 0.1, np.zeros(31)])
    chosen = choose_squares(candidates([0.9] * 30 + [0.3], vectors, centres=centres), 3, 0)
    assert 30 not in {one.index for one in chosen}
