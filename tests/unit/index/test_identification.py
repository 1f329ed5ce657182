"""The open-set decision."""

import numpy as np
import pytest
from ersgallery_index import Decision, InvalidEmbedding, Policy, Representation, UnsureReason, identify
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.identification import REASONS, Identifications, reason_bit, reasons_of

from tests.support.indexes import put, small_index, unit_rows

OPEN = Policy(gamma=0.0, gamma_gallery=0.0, tau=0.5)


def probes(vectors: object, ers: float | list[float] = 1.0) -> Representation:
    rows = unit_rows(vectors)
    values = np.broadcast_to(np.asarray(ers, dtype=np.float64), (len(rows),))
    return Representation(rows, values, values, np.ones(len(rows), dtype=np.bool_))


@pytest.fixture
def index() -> ExactIndex:
    """Give three subjects; the third has only a face of low ERS, very near the first."""
    index = small_index(2)
    put(index, [(10, 1, 0.9), (11, 2, 0.8), (12, 3, 0.2), (13, 1, 0.9)], [[1, 0], [0, 1], [1, 0.01], [1, 1]])
    return index


def test_a_probe_like_an_enrolled_face_is_a_match(index: ExactIndex) -> None:
    answer = identify(index, probes([[1, 0.1]]), Policy(0.0, 0.5, 0.5)).row(0)
    assert (answer.decision, answer.reasons) == (Decision.MATCH, ())
    assert [(c.subject_id, c.face_id, c.ers) for c in answer.candidates] == [(1, 10, 0.9), (2, 11, 0.8)]
    assert answer.candidates[0].similarity == pytest.approx(1 / 1.01**0.5)


def test_a_best_similarity_below_tau_is_no_match_and_still_lists_the_candidates(index: ExactIndex) -> None:
    answer = identify(index, probes([[-1, 0]]), OPEN).row(0)
    assert (answer.decision, answer.reasons) == (Decision.NO_MATCH, ())
    assert len(answer.candidates) == 3


def test_a_best_similarity_of_exactly_tau_is_a_match() -> None:
    index = small_index(2)
    put(index, [(1, 1, 1.0)], [[1, 0]])
    similarity = float(unit_rows([[1, 1]])[0, 0])
    assert identify(index, probes([[1, 1]]), Policy(0, 0, similarity)).row(0).decision is Decision.MATCH
    just_above = float(np.nextafter(similarity, 1))
    assert identify(index, probes([[1, 1]]), Policy(0, 0, just_above)).row(0).decision is Decision.NO_MATCH


def test_a_probe_below_gamma_is_unsure_and_not_searched(index: ExactIndex) -> None:
    answer = identify(index, probes([[1, 0]], ers=0.4), Policy(0.41, 0.0, 0.5, include_filtered=True)).row(0)
    assert (answer.decision, answer.reasons) == (Decision.UNSURE, (UnsureReason.PROBE_UNRECOGNIZABLE,))
    assert (answer.candidates, answer.filtered) == ((), ())
    assert answer.recognizability is not None
    assert answer.recognizability.ers == 0.4


def test_a_probe_of_exactly_gamma_passes(index: ExactIndex) -> None:
    assert identify(index, probes([[1, 0]], ers=0.4), Policy(0.4, 0.0, 0.5)).row(0).decision is Decision.MATCH


def test_a_probe_without_a_direction_is_unsure_even_when_the_gate_is_off(index: ExactIndex) -> None:
    nothing = Representation(np.zeros((1, 2), np.float32), np.ones(1), np.ones(1), np.zeros(1, np.bool_))
    answer = identify(index, nothing, OPEN).row(0)
    assert (answer.decision, answer.reasons) == (Decision.UNSURE, (UnsureReason.PROBE_UNRECOGNIZABLE,))


def test_a_face_below_the_gallery_gate_neither_matches_nor_takes_a_place(index: ExactIndex) -> None:
    answers = identify(index, probes([[1, 0.01]]), Policy(0.0, 0.5, 0.5, max_candidates=1, include_filtered=True))
    answer = answers.row(0)
    assert [c.subject_id for c in answer.candidates] == [1]
    assert [(c.subject_id, c.face_id, c.ers) for c in answer.filtered] == [(3, 12, 0.2)]


def test_filtered_faces_come_only_to_the_probes_whose_policy_asked(index: ExactIndex) -> None:
    asking, silent = Policy(0.0, 0.5, 0.5, include_filtered=True), Policy(0.0, 0.5, 0.5)
    answers = identify(index, probes([[1, 0], [1, 0]]), [silent, asking])
    assert [len(answer.filtered) for answer in answers] == [0, 1]
    assert identify(index, probes([[1, 0]]), silent).filtered is None


def test_two_subjects_closer_than_the_margin_are_ambiguous(index: ExactIndex) -> None:
    answer = identify(index, probes([[1, 0.9]]), Policy(0.0, 0.5, 0.5, margin=0.5)).row(0)
    assert (answer.decision, answer.reasons) == (Decision.UNSURE, (UnsureReason.AMBIGUOUS,))
    assert [c.subject_id for c in answer.candidates] == [1, 2]


def test_two_faces_of_one_subject_are_not_ambiguous(index: ExactIndex) -> None:
    answer = identify(index, probes([[1, 0.4]]), Policy(0.0, 0.5, 0.5, margin=0.3)).row(0)
    assert answer.decision is Decision.MATCH


def test_the_margin_sees_the_runner_up_even_when_one_candidate_is_wanted(index: ExactIndex) -> None:
    answer = identify(index, probes([[1, 0.9]]), Policy(0.0, 0.5, 0.5, margin=0.5, max_candidates=1)).row(0)
    assert answer.reasons == (UnsureReason.AMBIGUOUS,)
    assert [c.subject_id for c in answer.candidates] == [1]


def test_below_tau_is_no_match_however_close_the_runner_up(index: ExactIndex) -> None:
    answer = identify(index, probes([[-1, -1]]), Policy(0.0, 0.0, 0.5, margin=2.0)).row(0)
    assert (answer.decision, answer.reasons) == (Decision.NO_MATCH, ())


def test_a_subject_alone_in_the_gallery_cannot_be_ambiguous() -> None:
    index = small_index(2)
    put(index, [(1, 1, 1.0)], [[1, 0]])
    assert identify(index, probes([[1, 0]]), Policy(0.0, 0.0, 0.5, margin=2.0)).row(0).decision is Decision.MATCH


@pytest.mark.parametrize("tau", [-1.0, 0.0, 1.0])
def test_an_empty_gallery_is_no_match(tau: float) -> None:
    answer = identify(small_index(2), probes([[1, 0]]), Policy(0.0, 0.0, tau, margin=0.1)).row(0)
    assert (answer.decision, answer.reasons, answer.candidates) == (Decision.NO_MATCH, (), ())


def test_every_probe_of_a_batch_may_have_a_policy_of_its_own(index: ExactIndex) -> None:
    every = [
        Policy(0.0, 0.0, 0.5, max_candidates=1),
        Policy(0.0, 0.5, 0.5, max_candidates=2),
        Policy(1.0, 0.5, 0.5),
        Policy(0.0, 1.0, 0.5),
    ]
    answers = identify(index, probes([[1, 0.01]] * 4, ers=0.9), every)
    assert [[c.subject_id for c in answer.candidates] for answer in answers] == [[3], [1, 2], [], []]
    assert [answer.decision.value for answer in answers] == ["MATCH", "MATCH", "UNSURE", "NO_MATCH"]


def test_a_slice_of_the_answers_is_the_answers_to_these_probes(index: ExactIndex) -> None:
    asking = Policy(0.0, 0.5, 0.5, include_filtered=True)
    answers = identify(index, probes([[1, 0], [0, 1], [-1, 0], [1, 1]]), asking)
    for start, stop in ((0, 4), (1, 3), (2, 2), (3, 4)):
        assert list(answers.slice(start, stop)) == list(answers)[start:stop]


def test_parts_of_the_answers_make_the_answers(index: ExactIndex) -> None:
    asking, other = Policy(0.0, 0.5, 0.5, include_filtered=True), Policy(0.0, 0.5, 0.5, max_candidates=1)
    rows = [[1, 0], [0, 1], [-1, 0]]
    parts = [identify(index, probes(rows), asking), identify(index, probes(np.ones((0, 2))), asking)]
    parts.append(identify(index, probes(rows), other))
    assert list(Identifications.concatenate(parts)) == [answer for part in parts for answer in part]
    assert Identifications.concatenate(parts[2:]).filtered is None


def test_no_probes_give_no_answers(index: ExactIndex) -> None:
    assert list(identify(index, probes(np.ones((0, 2))), OPEN)) == []


def test_as_many_policies_as_probes_are_needed(index: ExactIndex) -> None:
    with pytest.raises(ValueError, match="policies"):
        identify(index, probes([[1, 0]]), [OPEN, OPEN])


def test_probes_of_another_dimension_are_refused(index: ExactIndex) -> None:
    with pytest.raises(InvalidEmbedding, match="dimension"):
        identify(index, probes([[1, 0, 0]]), OPEN)


def test_every_reason_has_a_bit_of_its_own() -> None:
    assert len({reason_bit(reason) for reason in REASONS}) == len(REASONS)
    assert sum(reason_bit(reason) for reason in REASONS) < 256
    assert reasons_of(reason_bit(REASONS[0]) | reason_bit(REASONS[-1])) == (REASONS[0], REASONS[-1])
