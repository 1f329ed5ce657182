"""A caller gets its rate and no more, whatever the sizes of its batches."""

import pytest
from ersgallery_server.access import Rates
from ersgallery_server.errors import RateLimited
from ersgallery_server.grants import EVERYTHING, Grant, Scope
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_of_a_second_passes_and_then_the_rate_holds() -> None:
    clock = Clock()
    rates = Rates(10, clock)
    for _ in range(10):
        rates.take("door", EVERYTHING, 1)
    with pytest.raises(RateLimited, match="10 calls a second") as caught:
        rates.take("door", EVERYTHING, 1)
    assert caught.value.retry_after_s == pytest.approx(0.1)
    clock.now_s += caught.value.retry_after_s + 1e-6
    rates.take("door", EVERYTHING, 1)


def test_callers_do_not_share_and_nobodys_do() -> None:
    rates = Rates(1, Clock())
    for caller in ("door", "gate", ""):
        rates.take(caller, EVERYTHING, 1)
    for caller in ("door", ""):
        with pytest.raises(RateLimited):
            rates.take(caller, EVERYTHING, 1)


def test_a_tokens_own_limit_holds_over_the_servers() -> None:
    rates = Rates(1, Clock())
    rates.take("bulk", Grant(frozenset(Scope), None, 50), 50)
    rates.take("free", Grant(frozenset(Scope), None, 0), 1_000_000)
    with pytest.raises(RateLimited, match="50 calls"):
        rates.take("bulk", Grant(frozenset(Scope), None, 50), 1)


@given(
    rate=st.floats(0.5, 1000),
    batches=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 4096)), min_size=1, max_size=200),
)
def test_no_schedule_of_batches_gets_more_than_the_rate_and_one_batch(
    rate: float, batches: list[tuple[float, int]]
) -> None:
    clock = Clock()
    rates = Rates(rate, clock)
    taken = 0
    largest = 0
    for pause_s, count in batches:
        clock.now_s += pause_s
        try:
            rates.take("door", EVERYTHING, count)
        except RateLimited:
            continue
        taken, largest = taken + count, max(largest, count)
    burst = max(1.0, rate)
    assert taken <= (clock.now_s - 1000) * rate + burst + largest + 1e-6


@given(rate=st.floats(0.5, 1000), counts=st.lists(st.integers(1, 4096), min_size=1, max_size=30))
def test_who_waits_as_told_is_let_in(rate: float, counts: list[int]) -> None:
    clock = Clock()
    rates = Rates(rate, clock)
    for count in counts:
        try:
            rates.take("door", EVERYTHING, count)
        except RateLimited as limited:
            clock.now_s += limited.retry_after_s + 1e-6
            rates.take("door", EVERYTHING, count)
