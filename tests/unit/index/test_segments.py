"""Where rows live: segments, tombstones and the lookup."""

import itertools

import numpy as np
import pytest
from ersgallery_index import DeviceFull
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.lookup import NOWHERE, Lookup
from ersgallery_index.backends.proposers import CpuBackend, Proposer
from ersgallery_index.backends.rows import Rows
from ersgallery_index.backends.segments import Part, Segment
from ersgallery_index.interface import IndexKind

from tests.support.indexes import AddOnlyBackend, ask, put, rows_of, small_index, tidied, unit_rows


def some_rows(count: int) -> Rows:
    ids = np.arange(count, dtype=np.int64)
    return Rows(ids, ids, np.ones(count), unit_rows(np.ones((count, 2))))


def test_a_buried_vector_is_wiped_from_host_memory_at_once() -> None:
    segment = Segment(0, CpuBackend(4), 2, capacity=4)
    segment.append(some_rows(3))
    segment.bury(np.array([1]))
    assert segment.rows.vectors[1].tolist() == [0.0, 0.0]
    assert segment.rows.vectors[0].any()


def test_rows_fill_segments_one_after_the_other() -> None:
    part = Part(CpuBackend(4), 2, itertools.count())
    part.append(some_rows(3))
    part.append(some_rows(7))
    assert [segment.size for segment in part.segments.values()] == [4, 4, 2]
    assert part.alive == 10


def test_a_segment_with_too_many_buried_rows_is_sparse_and_can_be_dropped() -> None:
    part = Part(CpuBackend(4), 2, itertools.count())
    part.append(some_rows(8))
    first, second = part.segments.values()
    first.bury(np.array([0, 2]))
    second.bury(np.array([3]))
    (segment,) = part.sparse(0.25)
    rows = [segment.rows.take(segment.alive)]
    part.drop(segment)
    assert [one.face_ids.tolist() for one in rows] == [[1, 3]]
    assert list(part.segments.values()) == [second]


def test_rows_that_do_not_fit_on_the_device_leave_the_index_as_it_was() -> None:
    index = ExactIndex(2, AddOnlyBackend(segment_rows=2, room=6))
    put(index, [(1, 1, 0.9), (2, 2, 0.1)], [[1, 0], [0, 1]])
    with pytest.raises(DeviceFull):
        put(index, [(i, i, 0.9) for i in range(7)], [[1, 1]] * 7)
    assert (index.revision, index.count()) == (1, 2)
    assert rows_of(ask(index, [[1, 0]])) == [(1, 1), (2, 2)]


def test_a_device_that_fills_up_between_two_segments_leaves_the_index_as_it_was() -> None:
    backend = FillingUpBackend(segment_rows=2)
    index = ExactIndex(2, backend)
    index.set_gate(0.5)
    put(index, [(1, 1, 0.9), (2, 2, 0.1)], [[1, 0], [0, 1]])
    backend.segments_left = 2
    faces = [(i, i, 0.9) for i in range(1, 5)] + [(i, i, 0.1) for i in range(5, 9)]
    with pytest.raises(DeviceFull):
        put(index, faces, [[1, 1]] * 8)
    assert (index.revision, index.snapshot().face_ids.tolist()) == (1, [1, 2])
    assert rows_of(ask(index, [[1, 1]], k=9)) == [(1, 1), (2, 2)]
    backend.segments_left = 100
    put(index, faces, [[1, 1]] * 8)
    assert index.snapshot().face_ids.tolist() == list(range(1, 9))


class FillingUpBackend(CpuBackend):
    """Has room for a few more segments only, which nobody could know before."""

    segments_left = 100

    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:
        self.segments_left -= 1
        if self.segments_left < 0:
            raise DeviceFull("no room for another segment")
        return super().open_proposer(dimension, rows, kind)


@pytest.mark.parametrize("side_entries", [0, 3, 1000])
def test_the_lookup_remembers_places_and_subjects_however_often_it_merges(side_entries: int) -> None:
    lookup = Lookup(side_entries)
    places: dict[int, int] = {}
    random = np.random.default_rng(side_entries)
    for step in range(60):
        faces = random.choice(50, 5, replace=False).astype(np.int64)
        where = random.integers(0, 1000, 5).astype(np.int64)
        where[random.random(5) < 0.3] = NOWHERE
        lookup.place(faces, where)
        lookup.enlist(faces % 7, faces)
        places |= dict(zip(faces.tolist(), where.tolist(), strict=True))
        everyone = np.arange(60, dtype=np.int64)
        assert lookup.locate(everyone).tolist() == [places.get(face, NOWHERE) for face in range(60)], step
    for subject in range(7):
        alive = {face for face, place in places.items() if place != NOWHERE and face % 7 == subject}
        assert alive <= set(lookup.faces_of(subject).tolist())


def test_forgotten_faces_leave_the_lookup() -> None:
    lookup = Lookup(side_entries=4)
    for face in range(2000):
        one = np.array([face], dtype=np.int64)
        lookup.place(one, one)
        lookup.enlist(one, one)
        lookup.place(one, np.array([NOWHERE]))
    assert sum(len(lookup.faces_of(subject)) for subject in range(2000)) < 100


def test_a_compaction_that_finds_no_room_loses_no_face() -> None:
    backend = AddOnlyBackend(segment_rows=8)
    index = small_index(2, backend)
    put(index, [(face, face, 1.0) for face in range(8)], [[1, 0.1 * face] for face in range(8)])
    backend.room = 0
    put(index, [], [], removed=[0, 1, 2, 3])
    assert not index.tidy()
    assert index.snapshot().face_ids.tolist() == [4, 5, 6, 7]
    assert sorted(face for _, face in rows_of(ask(index, [[1, 0]], k=9))) == [4, 5, 6, 7]
    backend.room = 1 << 40
    put(index, [(9, 9, 1.0)], [[0, 1]])
    assert tidied(index) == 1
    assert sorted(face for _, face in rows_of(ask(index, [[1, 0]], k=9))) == [4, 5, 6, 7, 9]


def test_replacing_faces_again_and_again_keeps_the_lookup_small() -> None:
    lookup = Lookup(side_entries=8)
    faces = np.arange(100, dtype=np.int64)
    for round_ in range(200):
        lookup.place(faces, faces + round_)
        lookup.enlist(faces // 2, faces)
    assert len(lookup._pair_faces) + len(lookup._new_faces) < 400
    assert lookup.faces_of(3).tolist() == [6, 7]


def test_faces_that_move_to_the_other_side_of_a_gate_leave_the_room_of_their_segment_in_use() -> None:
    index = small_index(2)
    put(index, [(face, face, 0.2 * face) for face in range(5)], [[1, 0.1 * face] for face in range(5)])
    for gate in (0.5, 0.1, 0.7, 0.3):
        index.set_gate(gate)
        tidied(index)
        put(index, [(9, 9, 1.0)], [[0, 1]])
        tidied(index)
    assert len(index._passing.segments) <= 2
    assert index.count(0.3) == 4


def test_a_move_that_finds_no_room_leaves_room_where_it_was() -> None:
    backend = AddOnlyBackend(segment_rows=8)
    index = small_index(2, backend)
    put(index, [(face, face, 1.0) for face in range(6)], [[1, 0.1 * face] for face in range(6)])
    backend.room = 0
    index.set_gate(0.5)
    index.set_gate(0.0)
    put(index, [], [], removed=[0, 1, 2])
    rooms = [segment.room for segment in index._segments()]
    assert sum(rooms) > 0
    assert not index.tidy()
    assert [segment.room for segment in index._segments()] == rooms
    backend.room = 1 << 40
    put(index, [(8, 8, 1.0)], [[0, 1]])
    assert sum(segment.room for segment in index._segments()) == sum(rooms) - 1
