"""What must hold of verification and open-set search for any faces."""

import numpy as np
from ersgallery_index import Representation
from ersgallery_index.evaluation.open_set import fnir_at, search_all
from ersgallery_index.evaluation.pairs import verify_pairs
from ersgallery_index.interface import Ids
from hypothesis import given, settings
from hypothesis import strategies as st

FARS = (0.002, 0.02, 0.2)


def drawn_faces(seed: int, count: int) -> tuple[Representation, Ids]:
    """Return faces of few values, so that scores often tie; two of them are of one person at least."""
    rng = np.random.default_rng(seed)
    vectors = (rng.integers(-4, 5, size=(count, 3)) / 8).astype(np.float32)
    people = np.append([0, 0, 1], rng.integers(0, 6, count - 3)).astype(np.int64)
    ers = rng.choice([0.0, 0.3, 0.6, 1.0], count)
    return Representation(vectors, ers, ers, rng.random(count) < 0.9), people


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(4, 40), gamma=st.sampled_from([0.0, 0.3, 0.7]))
def test_far_is_never_exceeded_even_where_scores_tie_and_a_lower_tau_would(seed: int, count: int, gamma: float) -> None:
    faces, people = drawn_faces(seed, count)
    (found,) = verify_pairs(faces, people, gammas=(gamma,), fars=FARS, resamples=3)
    first, second = np.triu_indices(count, 1)
    passes = faces.passes(gamma)
    scores = np.einsum("ij,ij->i", faces.vectors[first], faces.vectors[second]).astype(np.float64)
    other = (people[first] != people[second]) & passes[first] & passes[second]
    for point in found.points:
        allowed = point.far * found.impostor + 1e-9
        assert (scores[other] >= point.tau).sum() <= allowed
        below = scores[other][scores[other] < point.tau]
        assert not len(below) or (scores[other] >= below.max()).sum() > allowed


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(4, 40))
def test_frr_falls_with_far_and_every_unsure_genuine_pair_is_an_error(seed: int, count: int) -> None:
    faces, people = drawn_faces(seed, count)
    for found in verify_pairs(faces, people, gammas=(0.0, 0.5, 1.0), fars=FARS, resamples=3):
        rates = [point.frr.value for point in found.points]
        assert rates == sorted(rates, reverse=True)
        assert min(rates) >= found.genuine_unsure
        for point in found.points:
            assert ((point.drawn >= 0.0) & (point.drawn <= 1.0)).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(4, 30))
def test_the_order_of_faces_changes_no_figure(seed: int, count: int) -> None:
    faces, people = drawn_faces(seed, count)
    order = np.random.default_rng(seed).permutation(count)
    moved = Representation(faces.vectors[order], faces.ers[order], faces.raw_ers[order], faces.usable[order])
    (one,), (other,) = (
        verify_pairs(rows, labels, gammas=(0.3,), fars=FARS, resamples=4)
        for rows, labels in ((faces, people), (moved, people[order]))
    )
    assert [point.tau for point in one.points] == [point.tau for point in other.points]
    for left, right in zip(one.points, other.points, strict=True):
        np.testing.assert_allclose(left.drawn, right.drawn)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), fpir=st.sampled_from([0.01, 0.1, 0.5]), gamma=st.sampled_from([0.0, 0.4]))
def test_fpir_is_never_exceeded_and_counts_unsure_strangers(seed: int, fpir: float, gamma: float) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(70, 6))
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    ers = rng.random(70)
    every = Representation(vectors, ers, ers, np.ones(70, np.bool_))
    gallery, probes = (
        Representation(every.vectors[part], ers[part], ers[part], every.usable[part])
        for part in (slice(0, 10), slice(10, 70))
    )
    people = rng.integers(0, 30, 60).astype(np.int64)
    people[:2] = (0, 29)
    found = search_all(gallery, np.arange(10), probes, people, gamma=gamma, gamma_gallery=gamma)
    result = fnir_at(found, fpir, 3, 0)
    strangers = found.best[~found.mated]
    assert (strangers >= result.tau).sum() <= fpir * len(strangers) + 1e-9
    assert np.isneginf(found.best[~probes.passes(gamma)]).all()
