"""1:1 comparison."""

import numpy as np
import pytest
from ersgallery_index import (
    Decision,
    InvalidEmbedding,
    Policy,
    Recognizability,
    Representation,
    UnsureReason,
    verify,
    verify_subject,
)

from tests.support.indexes import put, small_index, unit_rows

PROBE, REFERENCE = UnsureReason.PROBE_UNRECOGNIZABLE, UnsureReason.REFERENCE_UNRECOGNIZABLE
POLICY = Policy(gamma=0.5, gamma_gallery=0.6, tau=0.7)


def side(vector: object, ers: float = 0.9, *, usable: bool = True) -> Representation:
    return Representation(unit_rows([vector]), np.array([ers]), np.array([ers]), np.array([usable]))


@pytest.mark.parametrize(("other", "decision"), [([1, 0.5], Decision.MATCH), ([1, 2], Decision.NO_MATCH)])
def test_two_recognizable_probes_match_from_tau_on(other: list[float], decision: Decision) -> None:
    answer = verify(side([1, 0]), side(other), POLICY)
    assert (answer.decision, answer.reasons) == (decision, ())
    assert answer.similarity == pytest.approx(unit_rows(other)[0])


@pytest.mark.parametrize(
    ("probe", "reference", "reasons"), [(0.4, 0.9, (PROBE,)), (0.9, 0.4, (REFERENCE,)), (0.4, 0.4, (PROBE, REFERENCE))]
)
def test_each_side_below_gamma_is_a_reason_to_be_unsure(
    probe: float, reference: float, reasons: tuple[UnsureReason, ...]
) -> None:
    answer = verify(side([1, 0], probe), side([1, 0], reference), POLICY)
    assert (answer.decision, answer.reasons, answer.similarity) == (Decision.UNSURE, reasons, None)
    assert answer.probe == Recognizability(probe, probe)
    assert answer.reference == Recognizability(reference, reference)


def test_a_side_without_a_direction_is_unsure() -> None:
    assert verify(side([1, 0]), side([1, 0], usable=False), Policy(0.0, 0.0, 0.0)).reasons == (REFERENCE,)


def test_sides_of_different_dimension_are_refused() -> None:
    with pytest.raises(InvalidEmbedding, match="dimension"):
        verify(side([1, 0]), side([1, 0, 0]), POLICY)
    with pytest.raises(InvalidEmbedding, match="dimension"):
        verify_subject(small_index(2), side([1, 0, 0]), 7, POLICY)


def test_a_subject_is_compared_by_its_best_face_that_passes_the_gallery_gate() -> None:
    index = small_index(2)
    put(index, [(1, 7, 0.5), (2, 7, 0.7), (3, 7, 0.8), (4, 8, 0.9)], [[1, 0], [1, 0.5], [0, 1], [1, 0]])
    answer = verify_subject(index, side([1, 0]), 7, POLICY)
    assert (answer.decision, answer.reference_face_id) == (Decision.MATCH, 2)
    assert answer.reference == Recognizability(0.7, 0.7)
    assert verify_subject(index, side([1, 0]), 7, Policy(0.5, 0.75, 0.7)).decision is Decision.NO_MATCH


def test_of_equally_similar_faces_the_lower_id_is_named() -> None:
    index = small_index(2)
    put(index, [(9, 7, 0.9), (4, 7, 0.9), (6, 7, 0.9)], [[1, 1], [1, 1], [1, 1]])
    assert verify_subject(index, side([1, 0]), 7, POLICY).reference_face_id == 4


def test_a_subject_whose_faces_are_all_below_the_gate_is_unsure_and_shows_its_best_ers() -> None:
    index = small_index(2)
    put(index, [(1, 7, 0.3), (2, 7, 0.5)], [[1, 0], [1, 0]])
    answer = verify_subject(index, side([1, 0]), 7, POLICY)
    assert (answer.decision, answer.reasons, answer.similarity) == (Decision.UNSURE, (REFERENCE,), None)
    assert answer.reference == Recognizability(0.5, 0.5)


def test_a_subject_without_faces_is_unsure_and_both_sides_may_fail() -> None:
    answer = verify_subject(small_index(2), side([1, 0], 0.1), 7, POLICY)
    assert answer.reasons == (PROBE, REFERENCE)
    assert answer.reference is None
