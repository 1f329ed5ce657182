"""The tail of best scores: fitted laws agree with SciPy, block maxima with counting every block."""

import itertools

import numpy as np
import pytest
from ersgallery_index.calibration.extremes import (
    BlockMaxima,
    GeneralizedPareto,
    TailRule,
    block_chances,
    larger_block,
)
from ersgallery_index.errors import CalibrationFailed
from scipy import special, stats


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2])
def test_survival_and_its_inverse_are_scipys(shape: float) -> None:
    law = GeneralizedPareto(shape, 0.07)
    excess = np.linspace(0.0, 0.2, 50)
    np.testing.assert_allclose(law.survival(excess), stats.genpareto.sf(excess, shape, scale=0.07), atol=1e-12)
    for survival in (1.0, 0.5, 1e-3):
        expected = stats.genpareto.isf(survival, shape, scale=0.07)
        assert law.excess_of(survival) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2])
def test_a_law_is_found_again_as_closely_as_scipys_likelihood_finds_it(shape: float) -> None:
    excesses = np.asarray(stats.genpareto.rvs(shape, scale=0.05, size=20_000, random_state=3))
    ours = GeneralizedPareto.fit(excesses, np.ones(len(excesses)))
    theirs, _, scale = stats.genpareto.fit(excesses, floc=0.0)
    assert ours.shape == pytest.approx(theirs, abs=0.03)
    assert ours.scale == pytest.approx(scale, rel=0.03)
    assert ours.shape == pytest.approx(shape, abs=0.04)


def test_a_weight_counts_as_so_many_equal_excesses() -> None:
    generator = np.random.default_rng(5)
    excesses = generator.exponential(0.05, 3000)
    weights = generator.integers(1, 4, 3000)
    weighted = GeneralizedPareto.fit(excesses, weights.astype(np.float64))
    repeated = GeneralizedPareto.fit(np.repeat(excesses, weights), np.ones(int(weights.sum())))
    assert weighted.shape == pytest.approx(repeated.shape, abs=2e-3)
    assert weighted.scale == pytest.approx(repeated.scale, rel=2e-3)


def test_a_floor_on_the_shape_keeps_the_mean() -> None:
    excesses = np.asarray(stats.genpareto.rvs(-0.4, scale=0.05, size=5000, random_state=3))
    law = GeneralizedPareto.fit(excesses, np.ones(len(excesses)), least_shape=0.0)
    assert law.shape == 0.0
    assert law.scale == pytest.approx(excesses.mean())


def test_equal_excesses_give_the_exponential_law_with_their_mean() -> None:
    law = GeneralizedPareto.fit(np.full(20, 0.1), np.ones(20), least_shape=0.0)
    assert law.shape >= 0.0
    assert law.survival(1.0) > 0.0


@pytest.mark.parametrize(("subjects", "block"), [(7, 1), (7, 3), (7, 6), (7, 7)])
def test_chances_are_the_binomial_ones_and_add_to_one(subjects: int, block: int) -> None:
    chances = block_chances(subjects, block, subjects)
    expected = [special.comb(subjects - 1 - j, block - 1) / special.comb(subjects, block) for j in range(subjects)]
    np.testing.assert_allclose(chances, expected, atol=1e-12)
    assert chances.sum() == pytest.approx(1.0)


def test_block_maxima_are_those_of_counting_every_block() -> None:
    generator = np.random.default_rng(1)
    scores = generator.normal(size=(300, 6))
    top = -np.sort(-scores, axis=1)
    maxima = BlockMaxima.of(top, 6, 3, TailRule())
    blocks = list(itertools.combinations(range(6), 3))
    for tau in (0.0, 0.5, 1.0):
        counted = np.mean([(scores[:, block].max(axis=1) >= tau).mean() for block in blocks])
        assert tau <= maxima.threshold
        assert maxima.exceeded(tau) == pytest.approx(counted)


def test_tau_is_the_least_that_keeps_a_probability() -> None:
    generator = np.random.default_rng(2)
    top = generator.normal(size=(2000, 1))
    maxima = BlockMaxima.of(top, 50, 50, TailRule())
    for probability in (0.5, 0.2, 0.101, 0.03, 1e-3, 1e-6):
        tau = maxima.tau_of(probability)
        assert maxima.exceeded(tau) <= probability * (1 + 1e-9)
        assert maxima.exceeded(tau - 1e-2) > probability


def test_the_tail_continues_a_known_law_beyond_the_sample() -> None:
    top = np.asarray(stats.expon.rvs(scale=0.05, size=(20_000, 1), random_state=4))
    maxima = BlockMaxima.of(top, 10, 10, TailRule(most=2000))
    assert maxima.tau_of(1e-6) == pytest.approx(stats.expon.isf(1e-6, scale=0.05), rel=0.1)
    assert maxima.misfit < 1.36


def test_a_tail_that_follows_no_such_law_is_noticed() -> None:
    generator = np.random.default_rng(6)
    # Many twins at one similarity.
    top = np.append(generator.exponential(0.02, 3000), np.full(100, 0.9))[:, None]
    assert BlockMaxima.of(top, 10, 10, TailRule(most=1000)).misfit > 1.36


def test_a_larger_block_is_the_complement_of_powers() -> None:
    assert larger_block(0.1, 10.0) == pytest.approx(1.0 - 0.9**10)
    assert larger_block(1e-18, 100.0) == pytest.approx(1e-16, rel=1e-6)
    assert larger_block(1.0, 2.0) == 1.0


@pytest.mark.parametrize("top", [np.linspace(0.0, 0.5, 90)[:, None], np.full((500, 1), 0.3)], ids=["few", "equal"])
def test_too_few_different_scores_have_no_tail(top: np.ndarray) -> None:
    with pytest.raises(CalibrationFailed) as caught:
        BlockMaxima.of(top, 10, 10, TailRule())
    assert caught.value.reason == "TOO_FEW_PROBES"
