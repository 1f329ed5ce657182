"""An approximate index finds what the others find, but for a stated share, and is exact where it uses no sketch."""

import numpy as np
import pytest
from ersgallery_index import By, FloatRows
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.proposers import CpuBackend
from ersgallery_index.backends.sketches import PROBES_AT_MOST, can_sketch
from ersgallery_index.interface import IndexKind

from tests.support.indexes import put, unit_rows

FACES, DIMENSION = 20_000, 128


@pytest.fixture(scope="module")
def faces() -> FloatRows:
    return unit_rows(np.random.default_rng(0).standard_normal((FACES, DIMENSION)))


@pytest.fixture(scope="module")
def indexes(faces: FloatRows) -> tuple[ExactIndex, ExactIndex]:
    """Return an exact and an approximate index of the same faces, a tenth of them removed again."""
    made = []
    for kind in (IndexKind.EXACT, IndexKind.APPROXIMATE):
        index = ExactIndex(DIMENSION, CpuBackend(segment_rows=4096, code_rows=1024))
        index.set_gate(0.5)
        put(index, [(i, i, 0.2 if i % 5 == 0 else 0.9) for i in range(FACES)], faces)
        put(index, [], [], removed=list(range(0, FACES, 10)))
        index.set_kind(kind)
        index.settle()
        made.append(index)
    return made[0], made[1]


def probes_like(faces: FloatRows, rows: list[int]) -> FloatRows:
    """Return probes whose similarity to these faces is as low as a mate's that is just accepted."""
    noise = np.random.default_rng(1).standard_normal((len(rows), DIMENSION)) / np.sqrt(DIMENSION)
    return unit_rows(0.55 * faces[rows] + 0.83 * noise)


def test_of_mates_that_exact_search_finds_first_hardly_one_is_missed(
    indexes: tuple[ExactIndex, ExactIndex], faces: FloatRows
) -> None:
    _, approximate = indexes
    assert approximate.kind.value == "APPROXIMATE"
    assert approximate.precision == "approximate-float64"
    rows = [row for row in range(1, 2500) if row % 5 and row % 10]
    probes = probes_like(faces, rows)
    found = missed = 0
    for start in range(0, len(rows), PROBES_AT_MOST):
        some, gates = probes[start : start + PROBES_AT_MOST], np.full(len(probes[start : start + PROBES_AT_MOST]), 0.5)
        wanted, given = (index.search(some, gates, 1, By.SUBJECT) for index in indexes)
        found += len(wanted.face_ids)
        missed += int((wanted.face_ids != given.face_ids).sum())
    assert found == len(rows)
    assert missed <= found * 0.001


@pytest.mark.parametrize("gate", [0.0, 0.5, 0.7])
def test_larger_batches_and_other_gates_than_the_usual_are_searched_exactly(
    indexes: tuple[ExactIndex, ExactIndex], faces: FloatRows, gate: float
) -> None:
    probes = probes_like(faces, list(range(1, 31)))
    for some in (probes, probes[:2]) if gate != 0.5 else (probes,):
        wanted, given = (index.search(some, np.full(len(some), gate), 10, By.FACE) for index in indexes)
        assert given.face_ids.tolist() == wanted.face_ids.tolist()
        assert given.scores.tolist() == wanted.scores.tolist()


def test_removed_and_hidden_faces_are_not_found_by_sketches(
    indexes: tuple[ExactIndex, ExactIndex], faces: FloatRows
) -> None:
    _, approximate = indexes
    for row in (10, 20, 5, 25):  # removed, removed, below the gate, below the gate
        hits = approximate.search(faces[row : row + 1], np.array([0.5]), 50, By.FACE)
        assert len(hits.face_ids) == 50
        assert row not in hits.face_ids
        assert all(face % 5 for face in hits.face_ids.tolist())


def test_rows_that_were_removed_leave_no_probe_without_hits(faces: FloatRows) -> None:
    near = unit_rows(faces[0] + 0.01 * faces[1:1001])
    rows = np.concatenate([near, faces[2000:3096]])
    index = ExactIndex(DIMENSION, CpuBackend(segment_rows=2096, code_rows=512))
    put(index, [(i, i, 1.0) for i in range(len(rows))], rows)
    index.set_kind(IndexKind.APPROXIMATE)
    index.settle()
    put(index, [], [], removed=list(range(700)))
    put(index, [], [], removed=list(range(700, 1000)))
    hits = index.search(faces[:1], np.zeros(1), 5, By.FACE)
    assert len(hits.face_ids) == 5


def test_rows_behind_a_sketch_are_found_too(faces: FloatRows) -> None:
    index = ExactIndex(DIMENSION, CpuBackend(segment_rows=8192, code_rows=512))
    index.set_kind(IndexKind.APPROXIMATE)
    for start, stop in ((0, 3000), (3000, 3100), (3100, 3400)):
        put(index, [(i, i, 1.0) for i in range(start, stop)], faces[start:stop])
        if start == 0:
            index.set_kind(IndexKind.APPROXIMATE)
            index.settle()
            assert [segment.sketch.stop for segment in index._segments() if segment.sketch] == [3000]
        for row in (start, stop - 1, 0, 2999):
            assert index.search(faces[row : row + 1], np.zeros(1), 1, By.FACE).face_ids.tolist() == [row]


def test_sketches_are_given_up_with_the_kind(faces: FloatRows) -> None:
    index = ExactIndex(DIMENSION, CpuBackend(segment_rows=512, code_rows=256))
    put(index, [(i, i, 1.0) for i in range(1000)], faces[:1000])
    index.set_kind(IndexKind.APPROXIMATE)
    index.set_kind(IndexKind.FAST)
    index.settle()
    assert (index.kind, index.coded) == (IndexKind.FAST, 992)
    assert index.precision == "exact-float64"


@pytest.mark.parametrize(("rows", "dimension"), [(100, 512), (4096, 127)])
def test_rows_that_are_few_or_of_odd_dimension_have_no_sketch(rows: int, dimension: int) -> None:
    assert not can_sketch(rows, dimension)
    index = ExactIndex(dimension, CpuBackend(segment_rows=rows))
    index.set_kind(IndexKind.APPROXIMATE)
    vectors = unit_rows(np.random.default_rng(0).standard_normal((rows, dimension)))
    put(index, [(i, i, 1.0) for i in range(rows)], vectors)
    index.settle()
    hits = index.search(vectors[:1], np.zeros(1), 1, By.FACE)
    assert hits.face_ids.tolist() == [0]
