import threading
from collections.abc import Iterator

import pytest

from seg.parcels.write_parcels import ordered_map


def test_results_come_in_order_though_later_ones_are_ready_first() -> None:
    second_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_done.wait(10)
        elif item == 1:
            second_done.set()
        return -item

    assert list(ordered_map(work, range(5), threads=2)) == [0, -1, -2, -3, -4]


def test_items_are_taken_no_faster_than_results() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(10):
            taken.append(item)
            yield item

    results = ordered_map(lambda item: item, items(), threads=2)
    assert (next(results), taken) == (0, [0, 1, 2])
    results.close()


def test_an_error_is_raised_where_its_result_was_wanted() -> None:
    def work(item: int) -> float:
        return 1 / (item - 1)

    results = ordered_map(work, range(3), threads=1)
    assert next(results) == -1
    with pytest.raises(ZeroDivisionError):
        next(results)
