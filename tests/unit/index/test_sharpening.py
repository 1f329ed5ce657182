"""Which proposed rows are scored, and which are out by what others reach."""

import numpy as np
import pytest
from ersgallery_index import By
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.proposals import Proposals
from ersgallery_index.backends.proposers import CpuBackend
from ersgallery_index.backends.sharpening import contenders
from ersgallery_index.interface import FloatRows

from tests.support.indexes import put, unit_rows


def filled(vectors: FloatRows, subjects: list[int]) -> ExactIndex:
    index = ExactIndex(vectors.shape[1], CpuBackend())
    put(index, [(face, subject, 1.0) for face, subject in enumerate(subjects)], vectors)
    return index


def proposed(rows: list[int], bounds: list[float]) -> Proposals:
    return Proposals(np.array([bounds]), np.full((1, len(rows)), -np.inf), np.array([rows]), np.full(1, -np.inf))


@pytest.mark.parametrize("by", By)
def test_a_row_that_is_proposed_twice_counts_once_for_what_the_kth_reaches(by: By) -> None:
    angles = np.array([0.0, 0.1, 0.5])
    index = filled(unit_rows(np.stack([np.cos(angles), np.sin(angles)], axis=1)), [0, 1, 2])
    probe = unit_rows([[1.0, 0.0]])
    found = proposed([0, 0, 1, 2], [1.1, 1.2, 1.1, 0.9])
    _, near = contenders(found, probe, index._segments(), 3, by)
    assert near[0].all()


def test_rows_of_one_subject_count_once_when_subjects_are_wanted() -> None:
    angles = np.array([0.0, 0.01, 0.02, 0.5])
    index = filled(unit_rows(np.stack([np.cos(angles), np.sin(angles)], axis=1)), [7, 7, 7, 8])
    probe = unit_rows([[1.0, 0.0]])
    found = proposed([0, 1, 2, 3], [1.1, 1.1, 1.1, 0.9])
    _, near = contenders(found, probe, index._segments(), 2, By.SUBJECT)
    assert near[0].tolist() == [True] * 4
    _, near = contenders(found, probe, index._segments(), 2, By.FACE)
    assert near[0].tolist() == [True, True, False, False]


def test_a_row_whose_bound_lies_below_what_k_others_reach_is_never_scored() -> None:
    random = np.random.default_rng(0)
    probe = unit_rows(random.standard_normal((1, 16)))
    vectors = unit_rows(probe + 0.05 * random.standard_normal((40, 16)))
    index = filled(vectors, list(range(40)))
    scores = (vectors @ probe[0]).astype(float)
    bounds = np.where(np.arange(40) < 30, scores + 0.01, scores.min() - 0.5)
    found, near = contenders(proposed(list(range(40)), bounds.tolist()), probe, index._segments(), 5, By.FACE)
    assert set(np.argsort(-scores[:30])[:5].tolist()) <= set(np.flatnonzero(near[0]).tolist())
    assert (found.reached[0, 30:] == -np.inf).all()
