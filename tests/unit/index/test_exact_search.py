"""The search widens exactly as far as float32 demands."""

import numpy as np
import pytest
from ersgallery_index import By
from ersgallery_index.backends.accelerator import Proposed
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.float_library import float_product
from ersgallery_index.backends.proposers import CpuBackend, HostProposer, Proposer
from ersgallery_index.backends.widths import Tuning
from ersgallery_index.interface import FloatRows, IndexKind
from ersgallery_index.sums import row_dots, score_error
from numpy.typing import NDArray

from tests.support.indexes import ask, put, rows_of, unit_rows


class WatchedBackend(CpuBackend):
    """Notes how wide each proposal was."""

    def __init__(self, widest: int) -> None:
        super().__init__(segment_rows=1 << 16, widest=widest)
        self.widths: list[int] = []

    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:  # noqa: ARG002  (the protocol's)
        return WatchedProposer(self.widths)


class WatchedProposer(HostProposer):
    def __init__(self, widths: list[int]) -> None:
        self._widths = widths

    def propose(self, probes: FloatRows, rows: FloatRows, width: int, start: int = 0) -> Proposed:
        self._widths.append(width)
        return super().propose(probes, rows, width, start)


class WorstCaseProposer(HostProposer):
    """Errs by as much as float32 may, and so that the best rows look worst."""

    def __init__(self, dimension: int) -> None:
        self._error = 0.999 * score_error(dimension)

    def propose(self, probes: FloatRows, rows: FloatRows, width: int, start: int = 0) -> Proposed:  # noqa: ARG002  (the protocol's)
        exact = probes.astype(np.float64) @ rows.T.astype(np.float64)
        best_first = np.argsort(-exact, axis=1, kind="stable")
        errors = np.full(exact.shape, self._error)
        np.put_along_axis(errors, best_first[:, : exact.shape[1] // 2], -self._error, axis=1)
        order = np.argsort(-(exact + errors), axis=1, kind="stable")[:, :width]
        return np.take_along_axis(exact + errors, order, axis=1).astype(np.float32), order


class WorstCaseBackend(CpuBackend):
    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:  # noqa: ARG002  (the protocol's)
        return WorstCaseProposer(dimension)


def circle(count: int, step: float) -> NDArray[np.float64]:
    angles = step * np.arange(count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_well_separated_faces_need_one_proposal_of_k_and_the_slack() -> None:
    backend = WatchedBackend(widest=512)
    index = ExactIndex(2, backend, Tuning(slack=5))
    put(index, [(i, i, 1.0) for i in range(300)], circle(300, 0.01))
    assert [face for _, face in rows_of(ask(index, [[1, 0]], k=3))] == [0, 1, 2]
    assert backend.widths == [8]


def test_equal_faces_widen_the_proposal_until_it_reaches_past_them() -> None:
    backend = WatchedBackend(widest=512)
    index = ExactIndex(2, backend, Tuning(slack=5))
    vectors = np.concatenate([np.tile([1.0, 0.0], (30, 1)), circle(300, 0.01)[1:]])
    put(index, [(i, i, 1.0) for i in range(len(vectors))], vectors)
    assert [face for _, face in rows_of(ask(index, [[1, 0]], k=3))] == [0, 1, 2]
    assert backend.widths == [8, 64]


def test_masses_of_equal_faces_are_scanned_completely() -> None:
    backend = WatchedBackend(widest=64)
    index = ExactIndex(2, backend, Tuning(slack=5))
    ids = np.random.default_rng(0).permutation(9000).tolist()
    put(index, [(i, i, 1.0) for i in ids], np.tile([1.0, 0.0], (9000, 1)))
    assert [face for _, face in rows_of(ask(index, [[1, 0]], k=3))] == [0, 1, 2]
    assert backend.widths == [8, 64]


def test_only_the_probes_that_need_it_are_widened() -> None:
    backend = WatchedBackend(widest=512)
    index = ExactIndex(2, backend, Tuning(slack=5))
    put(
        index, [(i, i, 1.0) for i in range(300)], np.concatenate([np.tile([1.0, 0.0], (30, 1)), circle(301, 0.01)[31:]])
    )
    hits = ask(index, [[1, 0], circle(301, 0.01)[200]], k=3)
    assert rows_of(hits, 0) == [(0, 0), (1, 1), (2, 2)]
    assert len(rows_of(hits, 1)) == 3


def test_a_proposer_that_errs_as_much_as_float32_may_does_not_change_the_answer() -> None:
    random = np.random.default_rng(1)
    probe = unit_rows(random.standard_normal((1, 64)))
    # Faces so alike that the errors turn their order around.
    faces = unit_rows(probe + 1e-3 * random.standard_normal((400, 64)))
    exact = row_dots(faces.astype(np.float64), probe[0].astype(np.float64))
    expected = sorted(range(400), key=lambda face: (-exact[face], face))[:5]
    for widest in (16, 200, 2048):
        index = ExactIndex(64, WorstCaseBackend(100, widest), Tuning(slack=2))
        put(index, [(i, i, 1.0) for i in range(400)], faces)
        assert [face for _, face in rows_of(ask(index, probe, k=5))] == expected


def test_a_gate_that_few_faces_pass_is_scanned_at_once() -> None:
    backend = WatchedBackend(widest=64)
    index = ExactIndex(2, backend)
    put(index, [(i, i, 0.1) for i in range(500)] + [(900, 900, 0.9)], circle(501, 0.001))
    assert rows_of(ask(index, [[1, 0]], k=3, gate=0.5)) == [(900, 900)]
    assert backend.widths == []


@pytest.mark.parametrize("dimension", [2, 64, 512, 1024])
def test_float32_products_stay_within_the_stated_error(dimension: int) -> None:
    random = np.random.default_rng(dimension)
    faces, probes = (unit_rows(random.standard_normal((n, dimension))) for n in (500, 40))
    faces[:40] = probes
    scores, positions = HostProposer().propose(probes, faces, 500)
    for probe in range(40):
        exact = row_dots(faces[positions[probe]].astype(np.float64), probes[probe].astype(np.float64))
        assert np.abs(scores[probe] - exact).max() <= score_error(dimension)


@pytest.mark.parametrize("rows", [1, 7, 2048])
def test_products_of_matrices_stay_within_the_stated_error(rows: int) -> None:
    random = np.random.default_rng(rows)
    faces, probes = (unit_rows(random.standard_normal((n, 512))) for n in (rows, 40))
    product = float_product()
    assert product is not None
    scores = product(faces, probes)
    assert scores.shape == (rows, 40)
    for probe in range(40):
        exact = row_dots(faces.astype(np.float64), probes[probe].astype(np.float64))
        assert np.abs(scores[:, probe] - exact).max() <= score_error(512)


@pytest.mark.parametrize("by", By)
def test_a_large_gallery_of_clusters_and_masses_of_duplicates_is_searched_exactly(by: By) -> None:
    random = np.random.default_rng(7)
    centres = random.standard_normal((40, 128))
    vectors = unit_rows(centres[random.integers(0, 40, 20_000)] + 0.3 * random.standard_normal((20_000, 128)))
    vectors[3000:8000] = vectors[2999]
    vectors[8000:9000] = vectors[8000]
    vectors[9000:9500] = vectors[8000]
    vectors[9000:9500, 0] = np.nextafter(vectors[8000, 0], np.float32(2))
    ids = random.permutation(20_000)
    subjects = random.integers(0, 4000, 20_000)
    ers = random.random(20_000)
    index = ExactIndex(128, CpuBackend(segment_rows=4096))
    index.set_gate(0.3)
    index.apply(1, ids[:0], ids, subjects, ers, vectors)
    gone = random.random(20_000) < 0.2
    index.apply(2, ids[gone], ids[:0], ids[:0], ers[:0], vectors[:0])
    probes = np.concatenate([vectors[[2999, 8000, 15_000]], unit_rows(random.standard_normal((3, 128)))])
    for gate in (0.0, 0.3, 0.7):
        hits = index.search(probes, np.full(6, gate), 25, by)
        seen = np.flatnonzero((ers >= gate) & ~gone)
        for probe in range(6):
            expected = best_rows(
                vectors[seen], probes[probe], ids[seen], subjects[seen] if by is By.SUBJECT else ids[seen]
            )
            rows = slice(int(hits.offsets[probe]), int(hits.offsets[probe + 1]))
            assert hits.face_ids[rows].tolist() == expected


def best_rows(vectors: FloatRows, probe: FloatRows, ids: NDArray[np.int64], names: NDArray[np.int64]) -> list[int]:
    """Return the faces that a sort of everything puts first, one per name."""
    scores = row_dots(vectors.astype(np.float64), probe.astype(np.float64))
    kept: dict[int, int] = {}
    for row in np.lexsort((ids, -scores)).tolist():
        kept.setdefault(int(names[row]), int(ids[row]))
        if len(kept) == 25:
            break
    return list(kept.values())
