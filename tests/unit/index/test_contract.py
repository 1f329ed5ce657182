"""What every implementation of VectorIndex keeps to, on each backend."""

import numpy as np
import pytest
from ersgallery_index import By, IndexRows, InvalidEmbedding, InvalidPolicy, Side, VectorIndex, merge_hits
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.proposers import Backend
from ersgallery_index.backends.widths import Tuning

from tests.support.indexes import ask, put, rows_of, small_index, tidied, unit_rows


@pytest.fixture
def index(backend: Backend) -> VectorIndex:
    return small_index(3, backend)


def test_an_empty_index_answers_with_nothing(index: VectorIndex, backend: Backend) -> None:
    hits = ask(index, [[1, 0, 0], [0, 1, 0]])
    assert hits.offsets.tolist() == [0, 0, 0]
    assert (index.count(), index.revision, index.dimension, index.device) == (0, 0, 3, backend.name)
    assert index.precision == "exact-float64"
    assert len(index.snapshot().face_ids) == len(index.subject_faces(1).face_ids) == 0


def test_a_face_is_found_as_soon_as_it_is_applied(index: VectorIndex) -> None:
    put(index, [(5, 50, 0.7)], [[1, 2, 2]])
    hits = ask(index, [[1, 0, 0]], k=100)
    assert rows_of(hits) == [(50, 5)]
    assert hits.scores[0] == float(unit_rows([1, 2, 2])[0])
    assert hits.ers[0] == 0.7


def test_candidates_are_subjects_each_with_its_best_face(index: VectorIndex) -> None:
    put(index, [(1, 10, 1), (2, 10, 1), (3, 20, 1)], [[1, 0.2, 0], [1, 0.1, 0], [1, 0.15, 0]])
    assert rows_of(ask(index, [[1, 0, 0]])) == [(10, 2), (20, 3)]
    assert rows_of(ask(index, [[1, 0, 0]], by=By.FACE)) == [(10, 2), (20, 3), (10, 1)]


def test_many_faces_of_one_subject_do_not_push_others_out(index: VectorIndex) -> None:
    put(index, [(i, 1, 1.0) for i in range(60)] + [(99, 2, 1.0)], [[1, 0, 0]] * 60 + [[0, 1, 0]])
    assert rows_of(ask(index, [[1, 0, 0]], k=2)) == [(1, 0), (2, 99)]


def test_of_masses_of_equal_faces_the_lowest_ids_are_returned(index: VectorIndex) -> None:
    ids = np.random.default_rng(0).permutation(300).tolist()
    put(index, [(i, i, 1.0) for i in ids], [[1, 1, 1]] * 300)
    assert rows_of(ask(index, [[1, 2, 3]], k=7)) == [(i, i) for i in range(7)]


def test_only_an_empty_index_is_restored(index: VectorIndex) -> None:
    put(index, [(1, 10, 1.0)], [[1, 0, 0]])
    with pytest.raises(ValueError, match="empty"):
        index.restore(9, [index.snapshot()])


def test_parts_that_share_a_face_are_refused(index: VectorIndex, backend: Backend) -> None:
    put(index, [(1, 10, 1.0), (2, 10, 1.0)], [[1, 0, 0], [0, 1, 0]])
    with pytest.raises(ValueError, match="given twice"):
        small_index(3, backend).restore(9, [index.snapshot(), index.rows_after(1, 5)])


def test_a_removed_face_is_never_found_again(index: VectorIndex) -> None:
    put(index, [(i, i, 1.0) for i in range(40)], [[1, 0.001 * i, 0] for i in range(40)])
    for face in range(38):
        put(index, [], [], removed=[face])
        assert rows_of(ask(index, [[1, 0, 0]], k=1)) == [(face + 1, face + 1)]
    assert index.count() == 2


def test_a_replaced_face_is_found_by_its_new_vector_subject_and_ers_only(index: VectorIndex) -> None:
    put(index, [(1, 10, 0.2), (2, 20, 0.9)], [[1, 0, 0], [0, 1, 0]])
    put(index, [(1, 11, 0.8)], [[0, 0, 1]])
    assert rows_of(ask(index, [[0, 0, 1]])) == [(11, 1), (20, 2)]
    assert len(index.subject_faces(10).face_ids) == 0
    assert index.subject_faces(11).ers.tolist() == [0.8]
    assert index.count(0.5) == 2


def test_removing_and_adding_a_face_in_one_step_adds_it(index: VectorIndex) -> None:
    put(index, [(1, 10, 1.0)], [[1, 0, 0]])
    put(index, [(1, 10, 1.0)], [[0, 1, 0]], removed=[1, 1, 777])
    assert index.snapshot().vectors.tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("usual_gate", [0.0, 0.3, 0.5, 0.51, 1.0])
@pytest.mark.parametrize("gate", [0.0, 0.3, 0.5, 0.9, 1.0])
def test_any_gate_answers_exactly_whatever_the_usual_gate_is(
    index: VectorIndex, usual_gate: float, gate: float
) -> None:
    random = np.random.default_rng(3)
    vectors, ers = random.standard_normal((80, 3)), np.round(random.random(80), 1)
    index.set_gate(usual_gate)
    put(index, [(i, i % 30, float(ers[i])) for i in range(80)], vectors)
    probe = unit_rows(random.standard_normal((1, 3)))
    scores = unit_rows(vectors).astype(np.float64) @ probe[0].astype(np.float64)
    for side, seen in ((Side.PASSING, ers >= gate), (Side.FILTERED, ers < gate)):
        expected = [i for i in np.argsort(-scores).tolist() if seen[i]][:9]
        hits = ask(index, probe, k=9, gate=gate, by=By.FACE, side=side)
        assert hits.face_ids.tolist() == expected
    assert index.count(gate) == int((ers >= gate).sum())


def test_moving_the_usual_gate_changes_no_answer(index: VectorIndex) -> None:
    random = np.random.default_rng(4)
    put(index, [(i, i, i / 100) for i in range(100)], random.standard_normal((100, 3)))
    probes = random.standard_normal((5, 3))
    before = [ask(index, probes, gate=gate) for gate in (0.0, 0.25, 0.75)]
    for usual in (0.5, 0.2, 0.9, 0.0, 1.0):
        index.set_gate(usual)
        after = [ask(index, probes, gate=gate) for gate in (0.0, 0.25, 0.75)]
        for old, new in zip(before, after, strict=True):
            assert np.array_equal(old.face_ids, new.face_ids)
            assert np.array_equal(old.scores, new.scores)


def test_a_batch_may_mix_gates(index: VectorIndex) -> None:
    put(index, [(1, 1, 0.2), (2, 2, 0.6), (3, 3, 0.9)], [[1, 0, 0], [1, 0.1, 0], [1, 0.2, 0]])
    probes = unit_rows([[1, 0, 0]] * 4)
    hits = index.search(probes, np.array([0.9, 0.0, 0.5, 0.95]), 1, By.SUBJECT)
    assert [rows_of(hits, probe) for probe in range(4)] == [[(3, 3)], [(1, 1)], [(2, 2)], []]


def test_a_repeated_revision_changes_nothing(index: VectorIndex) -> None:
    nobody = np.zeros(0, dtype=np.int64)
    one = np.array([1], dtype=np.int64)
    index.apply(5, nobody, one, one, np.ones(1), unit_rows([[1, 0, 0]]))
    index.apply(5, one, nobody, nobody, np.zeros(0), np.zeros((0, 3), dtype=np.float32))
    index.apply(4, nobody, one + 1, one, np.ones(1), unit_rows([[1, 0, 0]]))
    assert (index.revision, index.snapshot().face_ids.tolist()) == (5, [1])


def test_a_snapshot_is_a_copy_ordered_by_face_id_that_fills_another_index(index: VectorIndex) -> None:
    put(index, [(3, 1, 0.2), (1, 1, 0.9), (2, 2, 0.5)], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    index.set_gate(0.5)
    shot = index.snapshot()
    assert (shot.face_ids.tolist(), shot.subject_ids.tolist()) == ([1, 2, 3], [1, 2, 1])
    other = small_index(3)
    other.apply(shot.revision, shot.face_ids[:0], shot.face_ids, shot.subject_ids, shot.ers, shot.vectors)
    shot.vectors[:] = 0
    assert rows_of(ask(index, [[1, 2, 3]])) == rows_of(ask(other, [[1, 2, 3]])) == [(2, 2), (1, 1)]


def test_a_restored_index_answers_as_the_one_it_was_taken_from(index: VectorIndex, backend: Backend) -> None:
    random = np.random.default_rng(6)
    put(index, [(i, i % 9, i / 50) for i in range(50)], random.standard_normal((50, 3)))
    shot = index.snapshot()
    parts = [
        IndexRows(shot.face_ids[rows], shot.subject_ids[rows], shot.ers[rows], shot.vectors[rows])
        for rows in (slice(20), slice(20, 50))
    ]
    other = small_index(3, backend)
    other.set_gate(0.4)
    other.restore(7, iter(parts))
    probes = random.standard_normal((4, 3))
    assert other.revision == 7
    for gate in (0.0, 0.4, 0.8):
        assert np.array_equal(ask(other, probes, gate=gate).face_ids, ask(index, probes, gate=gate).face_ids)
    with pytest.raises(ValueError, match="empty index"):
        other.restore(8, [])


def test_the_faces_of_a_subject_come_by_face_id(index: VectorIndex) -> None:
    put(index, [(i, i % 3, 0.5) for i in (8, 2, 5, 3, 7)], [[1, i, 0] for i in range(5)])
    put(index, [], [], removed=[5])
    faces = index.subject_faces(2)
    assert (faces.face_ids.tolist(), faces.subject_ids.tolist()) == ([2, 8], [2, 2])
    assert faces.vectors.tolist() == unit_rows([[1, 1, 0], [1, 0, 0]]).tolist()


def test_indexes_over_disjoint_faces_answer_as_one(backend: Backend) -> None:
    random = np.random.default_rng(5)
    faces = [(i, i % 20, 1.0) for i in range(60)]
    vectors, probes = random.standard_normal((60, 3)), random.standard_normal((4, 3))
    whole, left, right = (small_index(3, backend) for _ in range(3))
    put(whole, faces, vectors)
    put(left, faces[:25], vectors[:25])
    put(right, faces[25:], vectors[25:])
    merged = merge_hits([ask(left, probes, k=6), ask(right, probes, k=6)], 6, By.SUBJECT)
    expected = ask(whole, probes, k=6)
    assert np.array_equal(merged.face_ids, expected.face_ids)
    assert np.array_equal(merged.offsets, expected.offsets)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_compaction_changes_no_answer(backend: Backend, share: float) -> None:
    index = ExactIndex(3, backend, Tuning(sparse_share=share))
    put(index, [(i, i, 1.0) for i in range(100)], [[1, 0.01 * i, 0] for i in range(100)])
    put(index, [], [], removed=[i for i in range(100) if i % 7])
    assert (tidied(index) > 0) is (share < 1.0)
    assert [face for _, face in rows_of(ask(index, [[1, 0, 0]], k=100))] == list(range(0, 100, 7))
    assert index.subject_faces(49).face_ids.tolist() == [49]


@pytest.mark.parametrize("gates", [(0.5, 0.2), (0.2, 0.7), (0.4, 0.4)])
def test_a_changed_gate_moves_faces_a_segment_at_a_time_and_no_answer_changes(
    backend: Backend, gates: tuple[float, float]
) -> None:
    index = small_index(3, backend)
    index.set_gate(gates[0])
    put(index, [(i, i, i / 60) for i in range(60)], [[1, 0.01 * i, 0] for i in range(60)])
    tidied(index)
    index.set_gate(gates[1])
    seen = [i for i in range(60) if i / 60 >= gates[1]]
    steps = 0
    while True:
        assert [face for _, face in rows_of(ask(index, [[1, 0, 0]], k=100, gate=gates[1]))] == seen
        hidden = ask(index, [[1, 0, 0]], k=100, gate=gates[1], side=Side.FILTERED)
        assert [face for _, face in rows_of(hidden)] == [i for i in range(60) if i not in seen]
        assert index.count(gates[1]) == len(seen)
        if not index.tidy():
            break
        steps += 1
    assert (steps > 1) is (gates[0] != gates[1])


@pytest.mark.parametrize(
    "vectors",
    [np.ones((1, 2)), np.array([[np.nan, 0, 0]]), np.array([[np.inf, 0, 0]]), np.zeros((1, 3)), np.ones((1, 3))],
)
def test_rows_that_are_no_unit_vectors_are_refused_and_change_nothing(index: VectorIndex, vectors: np.ndarray) -> None:
    put(index, [(1, 1, 1.0)], [[1, 0, 0]])
    one, rows = np.array([1], dtype=np.int64), vectors.astype(np.float32)
    with pytest.raises(InvalidEmbedding):
        index.apply(9, one, one + 1, one, np.ones(1), rows)
    with pytest.raises(InvalidEmbedding):
        index.search(rows, np.zeros(1), 1, By.FACE)
    assert (index.revision, index.count()) == (1, 1)


@pytest.mark.parametrize(
    ("ids", "ers"),
    [([1, 1], [0.5, 0.5]), ([1, 2], [0.5]), ([1], [0.5, 0.5]), ([1, 2], [0.5, 1.5]), ([1, 2], [0.5, np.nan])],
)
def test_columns_that_do_not_fit_together_are_refused(index: VectorIndex, ids: list[int], ers: list[float]) -> None:
    numbers = np.array(ids, dtype=np.int64)
    with pytest.raises(ValueError, match=r"many|twice|outside"):
        index.apply(1, numbers[:0], numbers, numbers, np.array(ers), unit_rows([[1, 0, 0], [0, 1, 0]]))
    assert index.count() == 0


def test_gates_and_k_out_of_range_are_refused(index: VectorIndex) -> None:
    probe = unit_rows([[1, 0, 0]])
    with pytest.raises(InvalidPolicy, match="k must"):
        index.search(probe, np.zeros(1), 0, By.FACE)
    with pytest.raises(InvalidPolicy, match="gate must"):
        index.search(probe, np.array([np.nan]), 1, By.FACE)
    with pytest.raises(ValueError, match="as many gates"):
        index.search(probe, np.zeros(2), 1, By.FACE)
    for gate in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidPolicy, match="gate must"):
            index.set_gate(gate)
