"""Whatever the scores are: a lower target, a larger gallery or a looser gate never lowers tau."""

import itertools

import numpy as np
from ersgallery_index.calibration.extremes import BlockMaxima, TailRule, larger_block
from ersgallery_index.calibration.non_mated import NonMatedScores
from ersgallery_index.calibration.tau import choose_tau, fpir_at
from hypothesis import given, settings
from hypothesis import strategies as st

few = settings(deadline=None, max_examples=25)


@st.composite
def samples(draw: st.DrawFn) -> NonMatedScores:
    """Draw scores of bounded, exponential and heavy tails, with masses of equal ones."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    probes, subjects = draw(st.integers(250, 600)), draw(st.integers(20, 60))
    kind = draw(st.sampled_from(["bounded", "exponential", "heavy"]))
    size = (probes, subjects)
    if kind == "bounded":
        drawn = 0.5 * generator.beta(2.0, 4.0, size)
    elif kind == "exponential":
        drawn = generator.exponential(0.05, size)
    else:
        drawn = np.minimum(0.02 * generator.pareto(3.0, size), 0.99)
    scores = np.where(generator.random(drawn.shape) < draw(st.sampled_from([0.0, 0.01])), 0.125, drawn)
    columns = np.argsort(-scores, axis=1, kind="stable")[:, : draw(st.integers(8, 20))]
    return NonMatedScores(
        top=np.take_along_axis(scores, columns, axis=1),
        subjects=columns.astype(np.int64),
        owners=generator.integers(0, 400, probes) + 1000,
        gallery_subjects=subjects,
        unsure=draw(st.integers(0, 200)),
    )


@few
@given(samples(), st.floats(1e-4, 0.3), st.integers(1, 500))
def test_every_choice_keeps_its_target_by_its_own_account(scores: NonMatedScores, target: float, size: int) -> None:
    choice = choose_tau(scores, target, size)
    assert -1.0 <= choice.tau.low <= choice.tau.value <= choice.tau.high <= 1.0
    assert 0.0 <= choice.fpir.low <= choice.fpir.value <= choice.fpir.high <= 1.0
    out_of_range = any(warning.code == "TAU_OUT_OF_RANGE" for warning in choice.warnings)
    assert choice.fpir.value <= target * (1.0 + 1e-6) or out_of_range
    assert fpir_at(choice, size + 100).value >= choice.fpir.value


@few
@given(samples(), st.floats(1e-4, 0.2), st.integers(1, 300))
def test_tau_rises_with_a_lower_target_and_a_larger_gallery(scores: NonMatedScores, target: float, size: int) -> None:
    tau = choose_tau(scores, target, size).tau.value
    assert choose_tau(scores, target / 3.0, size).tau.value >= tau
    # Twice the block is fitted anew, so only beyond the sample the order holds exactly.
    larger = max(size, scores.gallery_subjects)
    at_sample = choose_tau(scores, target, larger).tau.value
    assert choose_tau(scores, target, 2 * larger).tau.value >= at_sample


@few
@given(samples(), st.integers(1, 60))
def test_exceeding_falls_with_tau_and_tau_of_undoes_it(scores: NonMatedScores, block: int) -> None:
    maxima = BlockMaxima.of(scores.top, scores.gallery_subjects, min(block, scores.gallery_subjects), TailRule())
    exceeded = [maxima.exceeded(tau) for tau in np.linspace(-1.0, 1.0, 201)]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(exceeded))
    for probability in (0.3, 0.1, 0.01, 1e-5):
        assert maxima.exceeded(maxima.tau_of(probability)) <= probability * (1.0 + 1e-6)


@given(st.floats(0.0, 1e-3), st.floats(0.01, 1e3), st.floats(0.01, 1e3))
def test_growing_twice_is_growing_once_by_the_product(probability: float, first: float, second: float) -> None:
    twice = larger_block(larger_block(probability, first), second)
    np.testing.assert_allclose(twice, larger_block(probability, first * second), rtol=1e-6, atol=1e-9)
