"""How strangers set tau."""

import math

import numpy as np
import pytest

from tests.demo.settings import Settings, quick
from tests.demo.tau import TooFewStrangers, allowed, tau_at_fpir


def test_with_99_strangers_and_one_percent_tau_lies_just_above_the_greatest_similarity() -> None:
    similarities = [0.3 + place / 1000 for place in range(99)]
    assert tau_at_fpir(similarities, 0.01) == pytest.approx(0.3981)
    assert max(similarities) < tau_at_fpir(similarities, 0.01)


def test_with_199_strangers_one_of_them_matches() -> None:
    similarities = [place / 1000 for place in range(199)]
    tau = tau_at_fpir(similarities, 0.01)
    assert sum(similarity >= tau for similarity in similarities) == 1


def test_a_further_stranger_matches_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(0.3, 0.08, (20_000, 100))
    matched = np.mean([row[-1] >= tau_at_fpir(row[:-1].tolist(), 0.01) for row in draws])
    assert 0.007 < matched < 0.012


def test_strangers_that_the_gate_stops_count_as_not_matching() -> None:
    assert tau_at_fpir([-math.inf] * 98 + [0.25], 0.01) == pytest.approx(0.2501)


def test_fewer_strangers_than_the_share_needs_are_refused() -> None:
    with pytest.raises(TooFewStrangers, match="98 strangers"):
        tau_at_fpir([0.1] * 98, 0.01)
    with pytest.raises(TooFewStrangers, match="not searched"):
        tau_at_fpir([-math.inf] * 99, 0.01)


@pytest.mark.parametrize("settings", [Settings(), quick()])
def test_the_demo_has_enough_strangers_for_its_share(settings: Settings) -> None:
    assert allowed(settings.tau_strangers, settings.fpir) == 1
