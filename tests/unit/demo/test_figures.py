"""What is counted."""

from collections.abc import Callable

import pytest

from tests.demo.figures import OUTCOMES, explain_false_matches, higher_tau_instead, shares
from tests.demo.protocol import ProbeKind
from tests.demo.run import Answer

MakeAnswer = Callable[..., Answer]


def test_a_match_is_right_only_with_the_person_on_the_probe(make_answer: MakeAnswer) -> None:
    answers = [
        make_answer("ada", ("ada", 0.7, 1.0)),
        make_answer("ada", ("bob", 0.7, 1.0)),
        make_answer("ada", ("ada", 0.4, 1.0)),
        make_answer("ada", None),
    ]
    counted = shares(answers, ProbeKind.CLEAR_MATED, "gates_off")
    assert counted == {"match_right": 0.25, "match_wrong": 0.25, "no_match": 0.25, "unsure": 0.25, "n": 4}
    assert shares(answers, ProbeKind.CLEAR_MATED, "gates_on")["unsure"] == 1.0


def test_every_match_of_a_stranger_is_wrong(make_answer: MakeAnswer) -> None:
    counted = shares([make_answer("eve", ("eve", 0.9, 1.0))], ProbeKind.CLEAR_STRANGER, "gates_off")
    assert (counted["match_right"], counted["match_wrong"]) == (0.0, 1.0)


def test_the_shares_of_a_kind_add_up_to_one(make_answer: MakeAnswer) -> None:
    answers = [make_answer("ada", (name, similarity, 1.0)) for name in ("ada", "bob") for similarity in (0.4, 0.7, 0.8)]
    counted = shares(answers, ProbeKind.DEGRADED_MATED, "gates_off")
    assert sum(counted[name] for name in OUTCOMES) == pytest.approx(1.0)


def test_without_probes_there_are_no_shares() -> None:
    assert shares([], ProbeKind.CLEAR_MATED, "gates_on") == {**dict.fromkeys(OUTCOMES, 0.0), "n": 0}


def test_a_tau_in_place_of_the_gates_keeps_out_as_many_strangers_and_is_paid_by_clear_faces(
    make_answer: MakeAnswer,
) -> None:
    strangers = [make_answer("eve", ("bob", similarity, 0.3)) for similarity in (0.9, 0.8, 0.6, 0.2)]
    strangers[0] = make_answer("eve", ("bob", 0.9, 0.3), ("ada", 0.6, 1.0))
    mated = [make_answer("ada", ("ada", similarity, 1.0)) for similarity in (0.95, 0.85, 0.75, 0.55)]
    found = higher_tau_instead({kind: mated if kind is ProbeKind.CLEAR_MATED else strangers for kind in ProbeKind})
    # One stranger matches with the gates on, so one may match here: tau must exceed the second similarity.
    assert found == {"tau": 0.8, "clear_mated_match_right": 0.5}


def test_false_matches_with_faces_below_the_gallery_gate_are_counted_apart(make_answer: MakeAnswer) -> None:
    strangers = [
        make_answer("eve", ("bob", 0.9, 0.3)),
        make_answer("eve", ("ada", 0.6, 0.9), ("ada", 0.6, 0.9)),
        make_answer("eve", ("ada", 0.4, 0.3)),
    ]
    found = explain_false_matches(dict.fromkeys(ProbeKind, strangers), gamma_gallery=0.8)
    assert found == {
        "gates_off": {"all": 2, "with_face_below_gamma_gallery": 1},
        "gates_on": {"all": 1, "with_face_below_gamma_gallery": 0},
    }
