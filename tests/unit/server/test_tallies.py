"""What is counted is read as it was, whoever counts at the same time."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ersgallery_server.tallies import Spread, Tally


def test_a_value_on_a_bound_belongs_below_it() -> None:
    spread = Spread((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        spread.add(value)
    assert list(spread.read().counts) == [2, 2, 1]
    assert spread.read().total == 7.5


@pytest.mark.parametrize("size", [1, 16, 17, 1000])
def test_values_of_an_array_count_as_each_of_them_would(size: int) -> None:
    bounds = (0.25, 0.5, 0.75)
    values = np.round(np.random.default_rng(size).random(size), 2)
    at_once, one_by_one = Spread(bounds), Spread(bounds)
    at_once.add_all(values)
    for value in values.tolist():
        one_by_one.add(value)
    assert at_once.read().counts == one_by_one.read().counts
    assert at_once.read().total == pytest.approx(one_by_one.read().total)


def test_nothing_is_lost_between_threads() -> None:
    tally: Tally[str] = Tally()
    spread = Spread((1.0,))

    def count(_: int) -> None:
        for _ in range(2000):
            tally.add("a")
            spread.add(0.5)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(8)))
    assert tally.read() == {"a": 16_000}
    assert list(spread.read().counts) == [16_000, 0]


def test_distributions_are_added_bin_by_bin() -> None:
    a, b = Spread((1.0,)), Spread((1.0,))
    a.add(0.5)
    b.add(2.0)
    both = a.read() + b.read()
    assert (list(both.counts), both.total) == ([1, 1], 2.5)
