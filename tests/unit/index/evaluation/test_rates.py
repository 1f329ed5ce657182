"""Shares come with intervals that mean something."""

import numpy as np
import pytest
from ersgallery_index.evaluation.rates import by_people, draw_people, share_fewer, wilson
from scipy.stats import binomtest


@pytest.mark.parametrize(("count", "trials"), [(0, 10), (3, 10), (10, 10), (1, 1), (17, 900)])
def test_wilsons_interval_is_scipys(count: int, trials: int) -> None:
    expected = binomtest(count, trials).proportion_ci(method="wilson")
    rate = wilson(count, trials)
    assert (rate.value, rate.low, rate.high) == pytest.approx((count / trials, expected.low, expected.high), abs=1e-12)


def test_a_share_without_a_trial_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a trial"):
        wilson(0, 0)


def test_people_are_drawn_with_all_their_trials() -> None:
    people = np.array([5, 5, 9, 9, 9, 1])
    drawn = draw_people(people, 50, np.random.default_rng(0))
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 2] == drawn[:, 4]).all()
    assert (drawn[:, 0] + drawn[:, 2] + drawn[:, 5] == 3).all()


def test_errors_of_one_person_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    errors = np.repeat(rng.random(40) < 0.3, 25)
    together = by_people(errors, np.repeat(np.arange(40), 25), 400, np.random.default_rng(1))
    apart = by_people(errors, np.arange(1000), 400, np.random.default_rng(1))
    assert together.value == apart.value == errors.mean()
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_few_errors_do_not_support_a_figure() -> None:
    people = np.arange(100)
    assert not by_people(people < 9, people, 20, np.random.default_rng(0)).supported
    assert by_people(people < 10, people, 20, np.random.default_rng(0)).supported


def test_wilsons_figure_of_few_errors_is_marked_too() -> None:
    assert [wilson(count, 1000).supported for count in (0, 9, 10)] == [False, False, True]


def test_no_error_at_all_still_has_an_interval_of_as_many_trials_as_people() -> None:
    people = np.repeat(np.arange(50), 4)
    none = by_people(np.zeros(200, np.bool_), people, 20, np.random.default_rng(0))
    every = by_people(np.ones(200, np.bool_), people, 20, np.random.default_rng(0))
    assert (none.value, none.low, none.high, none.supported) == (0.0, 0.0, wilson(0, 50).high, False)
    assert (every.value, every.low, every.high, every.supported) == (1.0, wilson(50, 50).low, 1.0, True)


def test_no_error_before_cannot_become_fewer() -> None:
    before, after = wilson(0, 50), wilson(3, 50)
    assert share_fewer(before, np.array([0.0, 0.0]), after, np.array([0.1, 0.2])) is None


def test_resamples_without_an_error_before_say_nothing() -> None:
    before, after = wilson(20, 100), wilson(10, 100)
    saved = share_fewer(before, np.array([0.0, 0.2, 0.4]), after, np.array([0.1, 0.1, 0.2]))
    assert saved is not None
    assert (saved.value, saved.low, saved.high, saved.supported) == (0.5, 0.5, 0.5, True)
