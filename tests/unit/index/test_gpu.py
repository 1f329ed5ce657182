"""The index on a device: kinds of rows, memory, turns."""

import gc
import threading

import numpy as np
import pytest
from ersgallery_index import By, DeviceFull, FloatRows
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.gpu import GpuBackend, GpuProposer, promised_bytes, row_bytes
from ersgallery_index.backends.lanes import Lane
from ersgallery_index.interface import IndexKind

from tests.support.accelerators import HostAccelerator, small_gpu, two_small_gpus
from tests.support.indexes import ask, put, rows_of, tidied, unit_rows

MIB = 1 << 20


def some_faces(count: int, dimension: int = 8) -> FloatRows:
    return unit_rows(np.random.default_rng(count).standard_normal((count, dimension)))


def filled(backend: GpuBackend, faces: FloatRows, kind: IndexKind) -> ExactIndex:
    index = ExactIndex(faces.shape[1], backend)
    index.set_kind(kind)
    put(index, [(i, i, 1.0) for i in range(len(faces))], faces)
    return index


def taken(card: HostAccelerator) -> int:
    """Return how many bytes of the card's memory are taken."""
    return sum(len(block) for block in card.blocks.values())


@pytest.mark.parametrize("kind", [IndexKind.EXACT, IndexKind.FAST])
def test_faces_nearer_to_each_other_than_half_precision_sees_are_ordered_exactly(kind: IndexKind) -> None:
    random = np.random.default_rng(5)
    probe = unit_rows(random.standard_normal((1, 64)))
    faces = unit_rows(probe + 1e-5 * random.standard_normal((300, 64)))
    index = filled(small_gpu(), faces, kind)
    exact = faces.astype(np.float64) @ probe[0].astype(np.float64)
    assert index.kind is kind
    assert [face for _, face in rows_of(ask(index, probe, k=20, by=By.FACE))] == np.argsort(-exact)[:20].tolist()


def test_float16_rows_take_half_the_memory_of_float32_ones() -> None:
    sizes = {}
    for kind in (IndexKind.EXACT, IndexKind.FAST):
        card = HostAccelerator()
        index = filled(small_gpu(card), some_faces(16), kind)
        sizes[kind] = taken(card)
        assert index.count() == 16
    assert sizes == {IndexKind.EXACT: 16 * 8 * 4, IndexKind.FAST: 16 * 8 * 2}


def test_a_changed_kind_copies_segments_one_by_one_and_is_told_when_all_are_copied() -> None:
    card = HostAccelerator()
    faces = some_faces(60)
    index = filled(small_gpu(card), faces, IndexKind.EXACT)
    before, answer = taken(card), rows_of(ask(index, faces[:1]))
    index.set_kind(IndexKind.FAST)
    kinds = [index.kind]
    while index.tidy():
        kinds.append(index.kind)
        assert rows_of(ask(index, faces[:1])) == answer
    assert kinds == [IndexKind.EXACT] * (len(kinds) - 1) + [IndexKind.FAST]
    assert len(kinds) > 3
    assert taken(card) < 0.7 * before


def test_auto_turns_to_float16_with_many_faces_and_back_with_half_as_many() -> None:
    index = ExactIndex(8, small_gpu(fast_from=20))
    index.set_kind(IndexKind.AUTO)
    faces = some_faces(30)
    for start, kind in ((0, IndexKind.EXACT), (10, IndexKind.FAST), (20, IndexKind.FAST)):
        put(index, [(i, i, 1.0) for i in range(start, start + 10)], faces[start : start + 10])
        tidied(index)
        assert index.kind is kind
    for removed, kind in ((range(19), IndexKind.FAST), (range(19, 22), IndexKind.EXACT)):
        put(index, [], [], removed=list(removed))
        tidied(index)
        assert index.kind is kind


def test_faces_removed_while_their_segment_changes_its_kind_are_gone_from_both_copies() -> None:
    card = HostAccelerator()
    lane = Lane(card, spare_bytes=0)
    backend = GpuBackend(lane, smallest=64, largest=64)
    faces = some_faces(40)
    index = filled(backend, faces, IndexKind.EXACT)
    segment = index._segments()[0]  # half of a hand-over is nothing that an index shows
    segment.hand_over(IndexKind.FAST, 10)
    put(index, [], [], removed=[3, 4, 5, 20])
    while segment.proposer.kind is IndexKind.EXACT:
        segment.hand_over(IndexKind.FAST, 10)
    gc.collect()
    assert isinstance(segment.proposer, GpuProposer)
    numbers = card.numbers(segment.proposer._block)
    assert np.flatnonzero(~numbers[:40].any(axis=1)).tolist() == [3, 4, 5, 20]
    assert rows_of(ask(index, faces[20:21], k=1)) != [(20, 20)]


def test_a_hand_over_that_is_called_off_gives_its_memory_back() -> None:
    card = HostAccelerator()
    index = filled(GpuBackend(Lane(card, spare_bytes=0), smallest=64, largest=64), some_faces(40), IndexKind.EXACT)
    segment = index._segments()[0]
    segment.hand_over(IndexKind.FAST, 10)
    assert len(card.blocks) == 2
    index.set_kind(IndexKind.EXACT)
    segment.hand_over(IndexKind.EXACT, 10)
    assert len(card.blocks) == 1
    assert segment.is_of(IndexKind.EXACT)


def test_a_changed_kind_that_finds_no_room_leaves_the_present_one_and_is_made_once_there_is() -> None:
    card = HostAccelerator()
    faces = some_faces(60)
    index = filled(small_gpu(card), faces, IndexKind.FAST)
    answer = rows_of(ask(index, faces[:1]))
    room, card.room = card.room, taken(card)
    index.set_kind(IndexKind.EXACT)
    assert not index.tidy()
    kinds = [index.kind]
    assert rows_of(ask(index, faces[:1])) == answer
    card.room = room
    tidied(index)
    kinds.append(index.kind)
    assert kinds == [IndexKind.FAST, IndexKind.EXACT]
    assert rows_of(ask(index, faces[:1])) == answer


def test_a_removed_face_is_wiped_from_the_device() -> None:
    card = HostAccelerator()
    faces = some_faces(12)
    index = filled(small_gpu(card), faces, IndexKind.EXACT)
    wanted = faces[7].tobytes()
    assert any(wanted in block.tobytes() for block in card.blocks.values())
    put(index, [], [], removed=[7])
    assert not any(wanted in block.tobytes() for block in card.blocks.values())


def test_an_index_that_is_given_up_gives_its_memory_back() -> None:
    card = HostAccelerator()
    index = filled(small_gpu(card), some_faces(50), IndexKind.EXACT)
    assert card.blocks
    del index
    gc.collect()
    assert not card.blocks


def test_segments_grow_with_the_gallery_and_have_all_their_memory_from_the_beginning() -> None:
    card = HostAccelerator()
    index = ExactIndex(8, small_gpu(card))
    for face in range(70):
        put(index, [(face, face, 1.0)], some_faces(1))
    rows = [len(block) // row_bytes(8, IndexKind.EXACT) for block in card.blocks.values()]
    assert rows == [4, 4, 8, 16, 16, 16, 16]


def test_segments_that_became_small_beside_the_gallery_are_merged_behind_the_searches() -> None:
    card = HostAccelerator()
    index = ExactIndex(8, GpuBackend(Lane(card, spare_bytes=0), smallest=4, largest=1 << 20))
    faces = some_faces(300)
    for start in range(0, 300, 3):
        put(index, [(i, i, 1.0) for i in range(start, start + 3)], faces[start : start + 3])
    sizes = [segment.size for segment in index._segments()]
    assert sizes == [4, 4, 8, 16, 32, 64, 128, 44]
    assert tidied(index) == 4
    assert [segment.size for segment in index._segments()] == [32, 64, 128, 44 + 4 + 4 + 8 + 16]
    assert len(card.blocks) == 4
    assert all(rows_of(ask(index, faces[i : i + 1], k=1)) == [(i, i)] for i in range(0, 300, 11))


def test_a_batch_sees_runs_whose_scores_fit_and_no_more_probes_at_once_than_the_device_takes() -> None:
    card = HostAccelerator()
    backend = small_gpu(card)
    backend.probes_at_once = 20
    index = filled(backend, some_faces(32), IndexKind.EXACT)
    for probes in (1, 8, 70):
        card.calls.clear()
        ask(index, some_faces(probes), k=1)
        assert max(count for count, _ in card.calls) == min(probes, 20)
        for count, rows in card.calls:
            assert rows == 1 or 8 * count * rows <= card.scores_bytes


def test_small_dimensions_are_multiplied_in_wider_tiles() -> None:
    card = HostAccelerator()
    card.scores_bytes = 1 << 30
    backend = small_gpu(card)
    assert backend.run_rows(1024, 32) * 2 == backend.run_rows(512, 32)
    assert backend.run_rows(1024, 64) == backend.run_rows(512, 64)


def test_probes_are_copied_to_the_device_once_for_all_segments() -> None:
    card = HostAccelerator()
    index = filled(small_gpu(card), some_faces(60), IndexKind.EXACT)
    before = card.written
    ask(index, some_faces(3), k=1)
    assert card.written - before == 3 * 8 * 4
    assert len(card.calls) > 3


def test_faces_that_no_longer_fit_are_refused_and_the_ones_before_stay() -> None:
    card = HostAccelerator(room=9 * MIB)
    index = ExactIndex(512, GpuBackend(Lane(card, spare_bytes=MIB), 4, 16))
    faces = some_faces(200, 512)
    capacity = index.capacity
    assert capacity is not None
    assert capacity == (8 * MIB - promised_bytes(0, 512, IndexKind.EXACT)) // 2048
    put(index, [(i, i, 1.0) for i in range(200)], faces)
    card.room = taken(card) + MIB  # a full device must still have room for probes
    with pytest.raises(DeviceFull):
        put(index, [(i, i, 1.0) for i in range(1000, 1100)], some_faces(100, 512))
    assert (index.count(), index.capacity) == (200, 200)
    assert rows_of(ask(index, faces[:1], k=1)) == [(0, 0)]


def test_two_galleries_on_one_device_are_not_promised_the_same_memory() -> None:
    lane = Lane(HostAccelerator(room=12 * MIB), spare_bytes=0)
    left, right = (ExactIndex(512, GpuBackend(lane, 4, 16)) for _ in range(2))
    room = left.capacity
    assert room is not None
    left.require_room(room)
    assert right.capacity == 0
    with pytest.raises(DeviceFull):
        right.require_room(1)
    with pytest.raises(DeviceFull):
        put(right, [(1, 1, 1.0)], some_faces(1, 512))
    put(left, [(i, i, 1.0) for i in range(200)], some_faces(200, 512))
    assert left.count() == 200


def test_a_segment_takes_no_more_than_half_of_what_is_left_unless_it_must() -> None:
    lane = Lane(HostAccelerator(room=4 * MIB), spare_bytes=0)
    backend = GpuBackend(lane, smallest=1 << 20, largest=1 << 20)
    assert backend.segment_rows(0, 1, 512, IndexKind.EXACT) == 1024
    assert backend.segment_rows(0, 1500, 512, IndexKind.EXACT) == 1500
    assert backend.segment_rows(0, 1, 512, IndexKind.FAST) == 2048


def test_galleries_of_one_device_are_searched_by_several_threads_at_once_without_harm() -> None:
    lane = Lane(HostAccelerator(), spare_bytes=0)
    faces = some_faces(60)
    indexes = [filled(GpuBackend(lane, 4, 16), faces, kind) for kind in (IndexKind.EXACT, IndexKind.FAST)]
    expected = [rows_of(ask(indexes[0], faces[i : i + 1], k=3)) for i in range(30)]
    wrong: list[int] = []

    def search(index: ExactIndex) -> None:
        for i in range(30):
            found = rows_of(ask(index, faces[i : i + 1], k=3))
            wrong.extend([i] if found != expected[i] else [])

    threads = [threading.Thread(target=search, args=(index,)) for index in indexes for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_device_is_held_with_other_probes_in_between_and_has_the_right_ones_after() -> None:
    card = HostAccelerator()
    lane = Lane(card, spare_bytes=0)
    first, second = some_faces(2), some_faces(3)
    with lane.hold(first):
        with lane.hold(second):
            np.testing.assert_array_equal(card.numbers(lane.loaded(half=False)), second)
        np.testing.assert_array_equal(card.numbers(lane.loaded(half=False)), first)
        np.testing.assert_array_equal(card.numbers(lane.loaded(half=True)), first.astype(np.float16))
    with pytest.raises(RuntimeError, match="no probes"):
        lane.loaded(half=False)


def test_segments_are_spread_over_two_devices_and_asked_together() -> None:
    backend = two_small_gpus()
    index = ExactIndex(8, backend)
    faces = some_faces(120)
    put(index, [(i, i, 1.0) for i in range(120)], faces)
    counts: dict[str, int] = {}
    for segment in index._segments():  # where segments are is nothing that an index shows
        lane = segment.proposer.lane
        assert isinstance(lane, Lane)
        counts[lane.accelerator.name] = counts.get(lane.accelerator.name, 0) + segment.size
    assert set(counts) == {"host:0", "host:1"}
    assert min(counts.values()) >= 40
    assert index.device == "host:0,1"
    assert all(rows_of(ask(index, faces[i : i + 1], k=1)) == [(i, i)] for i in range(0, 120, 7))
