"""FNIR at FPIR equals what counting by hand gives."""

import numpy as np
import pytest
from ersgallery_index import Representation
from ersgallery_index.evaluation.open_set import fnir_at, rank_error, search_all
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray


def faces(vectors: NDArray[np.float64], ers: NDArray[np.float64]) -> Representation:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return Representation(unit.astype(np.float32), ers, ers, np.ones(len(ers), np.bool_))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), fpir=st.sampled_from([0.01, 0.1, 0.3]), gate=st.sampled_from([0.0, 0.4]))
def test_fnir_and_ranks_equal_a_count_by_hand(seed: int, fpir: float, gate: float) -> None:
    rng = np.random.default_rng(seed)
    enrolled, probes = 15, 60
    centres = rng.normal(size=(30, 8))
    gallery = faces(centres[:enrolled], rng.random(enrolled))
    people = rng.integers(0, 30, probes)
    searched = faces(centres[people] + rng.normal(size=(probes, 8)), rng.random(probes))
    found = search_all(gallery, np.arange(enrolled), searched, people, gamma=gate, gamma_gallery=gate)

    scores = searched.vectors.astype(np.float64) @ gallery.vectors.astype(np.float64).T
    scores[:, gallery.ers < gate] = -np.inf
    scores[searched.ers < gate] = -np.inf
    mated = people < enrolled
    assert (found.mated == mated).all()
    np.testing.assert_allclose(found.best, scores.max(axis=1), atol=1e-6)
    result = fnir_at(found, fpir, 5, 0)
    matched = scores[~mated].max(axis=1) >= result.tau + 1e-12
    assert matched.sum() <= fpir * (~mated).sum()
    rows = np.flatnonzero(mated)
    right = (scores[rows].argmax(axis=1) == people[rows]) & (scores[rows].max(axis=1) >= result.tau - 1e-12)
    assert result.rate.value == pytest.approx(1.0 - right.mean())
    first, five = rank_error(found, (1, 5))
    own = scores[rows, people[rows]]
    place = (scores[rows] > own[:, None]).sum(axis=1)
    np.testing.assert_array_equal(first, (place > 0) | np.isinf(own))
    np.testing.assert_array_equal(five, (place > 4) | np.isinf(own))


def test_unsure_strangers_stay_in_the_denominator() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, 16))
    ers = np.where(np.arange(200) % 2 == 0, 0.1, 1.0)
    gallery = faces(centres[:20], np.ones(20))
    people = np.arange(200)
    probes = faces(centres, ers)
    gated = search_all(gallery, np.arange(20), probes, people, gamma=0.5, gamma_gallery=0.0)
    open_ = search_all(gallery, np.arange(20), probes, people, gamma=0.0, gamma_gallery=0.0)
    # Half of the strangers find nobody, so twice the share of the others may be matched.
    assert fnir_at(gated, 0.1, 5, 0).tau < fnir_at(open_, 0.1, 5, 0).tau
    assert fnir_at(gated, 0.1, 5, 0).rate.value >= 0.5


def test_a_person_below_the_gallery_gate_is_mated_and_cannot_be_found() -> None:
    vectors = np.eye(4)
    gallery = faces(vectors[:2], np.array([0.2, 0.9]))
    found = search_all(
        gallery, np.array([0, 1]), faces(vectors[:2], np.ones(2)), np.array([0, 1]), gamma=0.5, gamma_gallery=0.5
    )
    assert found.mated.tolist() == [True, True]
    assert found.ranks.tolist() == [0, 1]
