"""The bounded queue with one owner."""

import threading

import pytest
from ersgallery_server.errors import Overloaded, ShuttingDown
from ersgallery_server.work_queue import WorkQueue


def take(queue: WorkQueue[int], most: int = 100) -> list[int]:
    """Take numbers of one sign that weigh what they are."""
    return queue.take(abs, most, lambda number, other: (number < 0) == (other < 0))


def test_the_owner_takes_everything_that_fits_together_in_order() -> None:
    queue: WorkQueue[int] = WorkQueue("numbers", 10)
    for number in (1, 2, -3, 4):
        queue.offer(number)
    assert [take(queue) for _ in range(3)] == [[1, 2], [-3], [4]]


def test_the_owner_takes_no_more_than_it_can_carry_but_at_least_one() -> None:
    queue: WorkQueue[int] = WorkQueue("numbers", 10)
    for number in (3, 2, 1, 9, 1):
        queue.offer(number)
    assert [take(queue, 5) for _ in range(4)] == [[3, 2], [1], [9], [1]]


def test_an_offer_beyond_the_limit_is_refused_with_the_limit_and_a_promise_is_not() -> None:
    queue: WorkQueue[int] = WorkQueue("numbers", 2)
    queue.offer(1)
    queue.offer(2)
    with pytest.raises(Overloaded, match="numbers is full \\(2 waiting\\)"):
        queue.offer(3)
    queue.push(4)
    assert take(queue) == [1, 2, 4]


def test_a_closed_queue_gives_out_what_waits_and_then_nothing() -> None:
    queue: WorkQueue[int] = WorkQueue("numbers", 2)
    queue.offer(1)
    queue.close()
    with pytest.raises(ShuttingDown):
        queue.offer(2)
    with pytest.raises(ShuttingDown):
        queue.push(2)
    assert take(queue) == [1]
    assert take(queue) == []


def test_a_queue_says_why_it_was_closed() -> None:
    queue: WorkQueue[int] = WorkQueue("numbers", 2)
    queue.close(lambda: KeyError("gone"))
    queue.close()
    with pytest.raises(KeyError):
        queue.offer(1)


def test_the_owner_waits_for_work() -> None:
    queue: WorkQueue[int] = WorkQueue("numbers", 2)
    taken: list[list[int]] = []
    owner = threading.Thread(target=lambda: taken.append(take(queue)))
    owner.start()
    queue.offer(7)
    owner.join()
    assert taken == [[7]]


def test_some_jobs_may_pass_the_others_as_far_as_they_can_be_carried() -> None:
    queue: WorkQueue[int] = WorkQueue("numbers", 10)
    for number in (-1, 2, 4, -2, 1):
        queue.offer(number)
    assert queue.take_waiting(abs, 3, lambda number: number > 0) == [2, 1]
    assert queue.take_waiting(abs, 3, lambda _: False) == []
    assert [take(queue) for _ in range(3)] == [[-1], [4], [-2]]


def test_nobody_waits_for_jobs_that_may_pass() -> None:
    queue: WorkQueue[int] = WorkQueue("numbers", 1)
    assert queue.take_waiting(abs, 3, lambda _: True) == []
