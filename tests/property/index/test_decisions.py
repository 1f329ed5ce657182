"""Every decision, reason and candidate list agrees with the brute-force oracle."""

from dataclasses import dataclass

import numpy as np
import pytest
from ersgallery_index import (
    Candidate,
    Derivation,
    Identification,
    Policy,
    Representation,
    Template,
    VectorIndex,
    Verification,
    identify,
    represent,
    represent_templates,
    verify,
    verify_subject,
)
from ersgallery_index.backends.proposers import Backend, CpuBackend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import oracle
from tests.support.accelerators import any_gpu, any_gpus
from tests.support.galleries import FloatRows, policies, profiles, stored_rows, templates
from tests.support.indexes import AddOnlyBackend, CodedBackend, MultiplyingBackend, small_index

TOLERANCE = 1e-12

relaxed = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


@dataclass(frozen=True)
class Case:
    """A filled index, the same gallery for the oracle, and probes for both."""

    index: VectorIndex
    faces: list[oracle.Face]
    probes: Representation
    rows: list[oracle.Row]
    policies: list[Policy]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    dimension = draw(st.integers(2, 5))
    derivation = Derivation(draw(profiles(dimension)), draw(st.booleans()))
    index = small_index(dimension, draw(backends()), slack=draw(st.integers(0, 2)))
    faces = _fill(draw, derivation, index, draw(stored_rows(dimension, 0, 24)))
    probes, rows = _probes(draw, derivation, dimension)
    scores = [oracle.dot(face.row.vector, rows[0].vector) for face in faces if face.row.vector and rows[0].vector]
    # A gate may lie exactly on an ERS, where both computations agree to the last bit.
    computed = {*index.snapshot().ers.tolist(), *probes.ers.tolist()}
    every = [row.ers for row in [*(face.row for face in faces), *rows] if row.ers in computed]
    wanted = [draw(policies(every, scores)) for _ in rows]
    index.set_gate(draw(st.sampled_from([0.0, 0.5, 1.0, *every])))
    return Case(index, faces, probes, rows, wanted)


def backends() -> st.SearchStrategy[Backend]:
    """Draw a backend with small segments and small proposals."""
    return st.builds(
        lambda kind, segment_rows, widest: kind(segment_rows, widest),
        st.sampled_from([CpuBackend, AddOnlyBackend, MultiplyingBackend, CodedBackend, any_gpu, any_gpus]),
        st.integers(2, 16),
        st.integers(2, 40),
    )


def _fill(draw: st.DrawFn, derivation: Derivation, index: VectorIndex, stored: FloatRows) -> list[oracle.Face]:
    """Enrol rows in some order of ids, then remove and replace some; return what is left."""
    ids = np.array(draw(st.permutations(range(len(stored)))), dtype=np.int64)
    subjects = np.array([draw(st.integers(0, 7)) for _ in ids], dtype=np.int64)
    derived = derivation.derive(stored)
    kept = derived.usable
    gone = ids[:0]
    index.apply(1, gone, ids[kept], subjects[kept], derived.ers[kept], derived.vectors[kept])
    current = dict(zip(ids.tolist(), range(len(ids)), strict=True))
    index.set_gate(draw(st.sampled_from([0.0, 0.5, 0.9])))
    removed = [face for face in current if draw(st.integers(0, 4)) == 0]
    replaced = [face for face in current if draw(st.integers(0, 5)) == 0]
    sources = [draw(st.integers(0, len(stored) - 1)) for _ in replaced]
    news = [(face, row) for face, row in zip(replaced, sources, strict=True) if kept[row]]
    rows = np.array([row for _, row in news], dtype=np.int64)
    new_ids = np.array([face for face, _ in news], dtype=np.int64)
    index.apply(7, np.array(removed, dtype=np.int64), new_ids, subjects[rows], derived.ers[rows], derived.vectors[rows])
    for face in removed:
        del current[face]
    current |= dict(news)
    return [
        oracle.Face(face, int(subjects[row]), oracle.derive(derivation.profile, derivation.enhance, stored[row]))
        for face, row in current.items()
    ]


def _probes(draw: st.DrawFn, derivation: Derivation, dimension: int) -> tuple[Representation, list[oracle.Row]]:
    single = draw(stored_rows(dimension, 1, 6))
    several: list[Template] = draw(st.lists(templates(dimension), max_size=3))
    probes = Representation.concatenate([represent(derivation, single), represent_templates(derivation, several)])
    profile, enhance = derivation.profile, derivation.enhance
    rows = [oracle.derive(profile, enhance, row) for row in single]
    return probes, rows + [oracle.aggregate(profile, enhance, template) for template in several]


def assert_same(candidates: tuple[Candidate, ...], hits: list[oracle.Hit]) -> None:
    assert [(c.subject_id, c.face_id) for c in candidates] == [(h.subject_id, h.face_id) for h in hits]
    assert [c.similarity for c in candidates] == pytest.approx([h.score for h in hits], abs=TOLERANCE, rel=0)
    assert [c.ers for c in candidates] == pytest.approx([h.ers for h in hits], abs=TOLERANCE, rel=0)


def assert_agrees(answer: Identification, case: Case, row: int) -> None:
    expected = oracle.identify(case.faces, case.rows[row], case.policies[row])
    assert (answer.decision, answer.reasons) == (expected.decision, expected.reasons)
    assert_same(answer.candidates, expected.candidates)
    assert_same(answer.filtered, expected.filtered)
    assert answer.recognizability is not None
    assert answer.recognizability.ers == pytest.approx(case.rows[row].ers, abs=TOLERANCE, rel=0)
    assert answer.recognizability.raw_ers == pytest.approx(case.rows[row].raw_ers, abs=TOLERANCE, rel=0)


@relaxed
@given(case=cases())
def test_identification_agrees_with_brute_force_for_any_gallery_probes_and_policies(case: Case) -> None:
    answers = identify(case.index, case.probes, case.policies)
    for row in range(len(case.rows)):
        assert_agrees(answers.row(row), case, row)


@relaxed
@given(case=cases())
def test_the_answer_to_a_probe_does_not_depend_on_its_batch(case: Case) -> None:
    together = identify(case.index, case.probes, case.policies)
    for row, policy in enumerate(case.policies):
        alone = Representation(*(column[row : row + 1] for column in _columns(case.probes)))
        assert identify(case.index, alone, policy).row(0) == together.row(row)


def _columns(probes: Representation) -> tuple[np.ndarray, ...]:
    return probes.vectors, probes.ers, probes.raw_ers, probes.usable


@relaxed
@given(case=cases(), data=st.data())
def test_verification_agrees_with_brute_force(case: Case, data: st.DataObject) -> None:
    first, second = (data.draw(st.integers(0, len(case.rows) - 1)) for _ in range(2))
    one, other = (Representation(*(column[i : i + 1] for column in _columns(case.probes))) for i in (first, second))
    policy = case.policies[first]
    compared = verify(one, other, policy)
    assert_verified(compared, oracle.verify(case.rows[first], case.rows[second], policy))
    for subject in range(8):
        expected = oracle.verify_subject(case.faces, case.rows[first], subject, policy)
        assert_verified(verify_subject(case.index, one, subject, policy), expected)


def assert_verified(answer: Verification, expected: oracle.Comparison) -> None:
    assert (answer.decision, answer.reasons) == (expected.decision, expected.reasons)
    assert answer.reference_face_id == expected.face_id
    if expected.similarity is None:
        assert answer.similarity is None
    else:
        assert answer.similarity == pytest.approx(expected.similarity, abs=TOLERANCE, rel=0)


@relaxed
@given(data=st.data())
def test_derived_rows_agree_with_the_equations_written_out(data: st.DataObject) -> None:
    dimension = data.draw(st.integers(2, 5))
    profile, enhance = data.draw(profiles(dimension)), data.draw(st.booleans())
    stored = data.draw(stored_rows(dimension, 1, 6))
    derived = Derivation(profile, enhance).derive(stored)
    for row, values in enumerate(stored):
        expected = oracle.derive(profile, enhance, values)
        assert bool(derived.usable[row]) == (expected.vector is not None)
        assert derived.vectors[row].tolist() == pytest.approx(expected.vector or [0.0] * dimension, abs=1e-7)
        assert derived.ers[row] == pytest.approx(expected.ers, abs=TOLERANCE, rel=0)
        assert derived.raw_ers[row] == pytest.approx(expected.raw_ers, abs=TOLERANCE, rel=0)
