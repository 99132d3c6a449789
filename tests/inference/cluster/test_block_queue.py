import pytest

from seg.inference.cluster.block_queue import LARGEST_BATCH, MOST_FAILURES, BlockQueue, batch_size

BLOCKS = [(0, column) for column in range(5)]


def test_each_block_is_taken_once_and_in_order() -> None:
    queue = BlockQueue(BLOCKS)
    assert [queue.take(3), queue.take(3)] == [tuple(BLOCKS[:3]), tuple(BLOCKS[3:])]
    queue.finish(BLOCKS[:3], {})
    assert not queue.is_finished
    queue.finish(BLOCKS[3:], {})
    assert queue.is_finished
    assert not queue.aside


def test_a_failed_block_is_sent_alone_and_set_aside_after_three_failures() -> None:
    queue = BlockQueue(BLOCKS)
    queue.finish(queue.take(5), {(0, 2): "damaged", (0, 4): "damaged"})
    tries = [queue.take(5) for _ in range(2)]
    assert tries == [((0, 2),), ((0, 4),)]
    queue.finish(tries[1], {})
    queue.finish(tries[0], {(0, 2): "damaged"})
    for _ in range(MOST_FAILURES - 2):
        queue.finish(queue.take(5), {(0, 2): "still damaged"})
    assert queue.is_finished
    assert queue.aside == {(0, 2): "still damaged"}


def test_blocks_that_were_given_back_are_taken_again_and_do_not_count_as_failed() -> None:
    queue = BlockQueue(BLOCKS)
    for _ in range(MOST_FAILURES + 1):
        taken = queue.take(2)
        queue.give_back(taken)
    assert queue.take(5) == tuple(BLOCKS)


def test_blocks_of_lost_tasks_are_sent_alone_and_set_aside_after_three_deaths_at_one_block() -> None:
    queue = BlockQueue(BLOCKS)
    queue.lose(queue.take(5), {}, "died")
    assert queue.take(5) == ((0, 0),)
    queue.lose([(0, 0)], {(0, 0): MOST_FAILURES - 1}, "died")
    assert not queue.aside
    for block in BLOCKS[1:]:
        assert queue.take(5) == (block,)
        queue.finish([block], {})
    queue.lose(queue.take(5), {(0, 0): MOST_FAILURES}, "died")
    assert queue.is_finished
    assert queue.aside == {(0, 0): "died"}


@pytest.mark.parametrize(
    ("seconds", "waiting", "workers", "wanted"),
    [
        (None, 1000, 4, 1),
        (5.0, 1000, 4, 4),
        (60.0, 1000, 4, 1),
        (0.5, 1000, 4, 40),
        (0.5, 40, 4, 5),
        (0.5, 30, 1, 30),
        (0.5, 3, 4, 1),
        (0.0, 10_000, 4, LARGEST_BATCH),
    ],
)
def test_a_batch_takes_about_twenty_seconds_and_less_towards_the_end_of_several_workers(
    seconds: float | None, waiting: int, workers: int, wanted: int
) -> None:
    assert batch_size(seconds, waiting, workers) == wanted
