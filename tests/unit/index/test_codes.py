"""Codes never promise less than a row's real score, and an index gets and loses them behind its searches."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ersgallery_index import By
from ersgallery_index.backends.coder import Coder, _thread
from ersgallery_index.backends.codes import CodeBlock, CodedProbes
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.int8_library import int8_product, int8_works
from ersgallery_index.backends.memory import give_memory_back
from ersgallery_index.backends.proposals import Proposals
from ersgallery_index.backends.proposers import CpuBackend
from ersgallery_index.backends.rows import Rows
from ersgallery_index.backends.segments import Segment
from ersgallery_index.backends.widths import Tuning
from ersgallery_index.interface import FloatRows, IndexKind, Scores
from ersgallery_index.sums import row_dots

from tests.support.indexes import ask, put, rows_of, unit_rows


def exact_scores(probes: FloatRows, rows: FloatRows) -> Scores:
    return np.array([row_dots(rows.astype(np.float64), probe.astype(np.float64)) for probe in probes])


def block_of(rows: FloatRows) -> CodeBlock:
    return CodeBlock.of(0, rows, np.ones(len(rows)), np.ones(len(rows), np.bool_))


def awkward_rows(dimension: int) -> FloatRows:
    """Rows that are coded well, badly and not at all: spread, one number, nearly one number, alike, wiped."""
    random = np.random.default_rng(dimension)
    spread = unit_rows(random.standard_normal((60, dimension)))
    single = np.eye(dimension, dtype=np.float32)[:10]
    nearly = unit_rows(single + 1e-3 * random.standard_normal(single.shape))
    heavy = unit_rows(random.standard_t(1.2, size=(60, dimension)))
    return np.concatenate([spread, single, nearly, heavy, -spread[:5], np.zeros((3, dimension), np.float32)])


@pytest.mark.parametrize("dimension", [2, 128, 512, 1024])
def test_a_bound_is_never_below_the_score_and_close_to_it_for_spread_rows(dimension: int) -> None:
    rows = awkward_rows(dimension)
    for probes in (rows[:60], rows[60:-3], rows[:1]):
        coded = CodedProbes.of(probes)
        bounds = coded.as_bounds(block_of(rows).look(coded, None))
        assert (bounds >= exact_scores(probes, rows)).all()
    coded = CodedProbes.of(rows[:60])
    bounds = coded.as_bounds(block_of(rows[:60]).look(coded, None))
    assert np.abs(bounds - exact_scores(rows[:60], rows[:60])).max() < 0.05


def test_hidden_rows_have_no_bound() -> None:
    rows = unit_rows(np.eye(4))
    hidden = np.array([True, False, True, False])
    bounds = block_of(rows).look(CodedProbes.of(rows), hidden)
    assert np.isneginf(bounds[:, hidden]).all()
    assert np.isfinite(bounds[:, ~hidden]).all()


def test_integer_products_are_exact_here() -> None:
    assert int8_works()
    random = np.random.default_rng(0)
    rows = random.integers(-127, 128, (300, 512)).astype(np.int8)
    probes = random.integers(1, 256, (17, 512)).astype(np.uint8)
    found = int8_product(rows, np.ones(300, np.float32))(probes, np.float32(1), np.zeros(300, np.float32))
    assert np.array_equal(found, (probes.astype(np.int64) - 128) @ rows.T.astype(np.int64))


def test_putting_proposals_together_keeps_the_best_and_raises_the_ceiling_to_the_best_left_out() -> None:
    first = Proposals(
        np.array([[0.9, 0.1, -np.inf]]), np.full((1, 3), -np.inf), np.array([[1, 2, -1]]), np.array([0.05])
    )
    second = Proposals(np.array([[0.5, 0.8]]), np.full((1, 2), -np.inf), np.array([[3, 4]]), np.array([-np.inf]))
    together = Proposals.together([first, second], 2)
    assert sorted(together.rows[0].tolist()) == [1, 4]
    assert together.ceiling.tolist() == [0.5]
    assert Proposals.together([first, second], 9).ceiling.tolist() == [0.05]


def filled(rows: FloatRows, kind: IndexKind, fast_from: int = 100) -> ExactIndex:
    index = ExactIndex(rows.shape[1], CpuBackend(64, 32, code_rows=16), Tuning(slack=2, fast_from=fast_from))
    index.set_kind(kind)
    put(index, [(i, i // 2, 1.0) for i in range(len(rows))], rows)
    return index


def test_every_kind_gives_the_same_answer_also_while_codes_are_being_made() -> None:
    rows = unit_rows(np.random.default_rng(3).standard_normal((1000, 32)))
    index = filled(rows, IndexKind.EXACT)
    probes = rows[::97] + 0.1
    wanted = ask(index, probes, k=5)
    index.set_kind(IndexKind.FAST)
    for _ in range(20):
        found = ask(index, probes, k=5)
        assert found.face_ids.tolist() == wanted.face_ids.tolist()
        assert found.scores.tolist() == wanted.scores.tolist()
    index.settle()
    assert index.coded == 1000
    assert ask(index, probes, k=5).scores.tolist() == wanted.scores.tolist()


def test_a_block_that_is_coded_while_a_search_looks_hides_no_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = unit_rows(np.random.default_rng(3).standard_normal((128, 32)))
    index = filled(rows, IndexKind.FAST)
    index.settle()
    (segment, *_) = index._segments()
    held = segment._blocks
    segment._blocks = {}
    real = Segment.bare_runs

    def late(self: Segment, *arguments: Any) -> Iterator[slice]:
        self._blocks = held if self is segment else self._blocks
        return real(self, *arguments)

    monkeypatch.setattr(Segment, "bare_runs", late)
    for row in range(0, 60, 7):
        segment._blocks = {}
        assert rows_of(ask(index, rows[row : row + 1], k=1, by=By.FACE)) == [(row // 2, row)]


def test_codes_of_removed_rows_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unit_rows(np.random.default_rng(3).standard_normal((200, 32)))
    index = filled(rows, IndexKind.FAST)
    index.settle()
    put(index, [], [], removed=[7])
    (block, *_) = index._segments()[0].blocks
    assert abs(kept_score(block, rows[7:8], 7) - 1.0) < 0.05
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    index.tidy()
    index.settle()
    (block, *_) = index._segments()[0].blocks
    assert abs(kept_score(block, rows[7:8], 7)) < 0.05


def kept_score(block: CodeBlock, probe: FloatRows, row: int) -> float:
    """Return what the codes of a block make of a probe and a row."""
    coded = CodedProbes.of(probe)
    return float(coded.as_bounds(block.look(coded, None))[0, row])


def test_codes_that_cannot_be_made_are_reported_and_change_no_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows = unit_rows(np.random.default_rng(3).standard_normal((100, 32)))
    with monkeypatch.context() as broken:
        broken.setattr(CodeBlock, "of", lambda *_: 1 / 0)
        index = filled(rows, IndexKind.FAST)
        index.settle()
    assert "could not be coded" in caplog.text
    assert (index.coded, index._coder and index._coder._under_way) == (0, {})
    assert rows_of(ask(index, rows[3:4], k=1, by=By.FACE)) == [(1, 3)]
    put(index, [(500, 1, 1.0)], rows[:1])
    index.settle()
    assert index.coded == 96


def full_segment(number: int) -> Segment:
    segment, some = Segment(number, CpuBackend(16), 4, 16), np.arange(16)
    segment.append(Rows(some, some, np.ones(16), unit_rows(np.ones((16, 4)))))
    return segment


def hold(gate: threading.Event) -> None:
    assert gate.wait(10)


def test_nothing_is_remembered_of_segments_that_are_gone_before_they_are_coded() -> None:
    coder = Coder(block_rows=4)
    gate = threading.Event()
    _thread().submit(lambda: hold(gate))
    segments = [full_segment(number) for number in range(20)]
    coder.follow(segments, codes=True, sketches=False)
    assert len(coder._under_way) == 80
    del segments
    gate.set()
    coder.finish()
    assert coder._under_way == {}


def test_codes_take_the_memory_that_they_were_promised() -> None:
    random = np.random.default_rng(0)
    blocks = [CodeBlock.of(0, unit_rows(random.standard_normal((4096, 256))), np.ones(4096), np.ones(4096, np.bool_))]
    give_memory_back()  # after the first, which brings the library's own memory
    before = resident_bytes()
    for start in range(24):
        rows = unit_rows(random.standard_normal((4096, 256)))
        blocks.append(CodeBlock.of(start, rows, np.ones(4096), np.ones(4096, np.bool_)))
    give_memory_back()
    for_each = (resident_bytes() - before) / (24 * 4096)
    assert for_each < 1.3 * 256


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_row_that_is_removed_after_it_was_coded_is_not_found() -> None:
    rows = unit_rows(np.random.default_rng(3).standard_normal((100, 8)))
    index = filled(rows, IndexKind.FAST)
    index.settle()
    put(index, [], [], removed=[7])
    assert 7 not in [face for _, face in rows_of(ask(index, rows[7:8], k=100, by=By.FACE))]


def test_the_last_rows_are_coded_when_nothing_has_changed_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unit_rows(np.random.default_rng(3).standard_normal((107, 8)))
    index = filled(rows[:100], IndexKind.FAST)
    index.settle()
    assert (index.tidy(), index.coded) == (False, 96)  # blocks of 16
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    index.tidy()
    index.settle()
    assert index.coded == 100  # and of 2 behind them
    put(index, [(face, face, 1.0) for face in range(100, 107)], rows[100:])
    index.settle()
    assert index.coded == 100
    put(index, [(face, face, 1.0) for face in range(107, 112)], rows[:5])
    index.settle()
    assert index.coded == 112
    assert [face for _, face in rows_of(ask(index, rows[101:102], k=1, by=By.FACE))] == [101]


def test_an_index_chooses_codes_for_many_faces_and_keeps_them_until_half_are_gone() -> None:
    index = filled(unit_rows(np.random.default_rng(0).standard_normal((99, 4))), IndexKind.AUTO)
    assert str(index.kind.value) == "EXACT"
    put(index, [(500, 1, 1.0)], [[1, 0, 0, 0]])
    assert str(index.kind.value) == "FAST"
    put(index, [], [], removed=list(range(50)))
    assert str(index.kind.value) == "FAST"
    put(index, [], [], removed=[50])
    assert str(index.kind.value) == "EXACT"


def test_an_exact_index_has_no_codes_and_gives_up_those_it_had() -> None:
    index = filled(unit_rows(np.random.default_rng(0).standard_normal((200, 4))), IndexKind.FAST)
    index.settle()
    assert (index.kind, index.coded) == (IndexKind.FAST, 200 // 16 * 16)
    index.set_kind(IndexKind.EXACT)
    index.settle()
    assert (index.kind, index.coded) == (IndexKind.EXACT, 0)
    assert len(ask(index, [[1, 0, 0, 0]], k=3).face_ids) == 3
