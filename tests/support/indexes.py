"""Backends under test, and shorthands to fill and ask an index."""

from collections.abc import Sequence

import numpy as np
from ersgallery_index import By, FloatRows, Hits, Scores, Side, VectorIndex
from ersgallery_index.backends.accelerator import Proposed
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.faiss_library import faiss_module
from ersgallery_index.backends.proposers import Backend, CpuBackend, HostProposer, Proposer
from ersgallery_index.backends.widths import Tuning
from ersgallery_index.errors import DeviceFull
from ersgallery_index.interface import IndexKind
from numpy.typing import NDArray

SMALL_SEGMENTS = 8
SMALL_WIDEST = 32


class AddOnlyProposer(HostProposer):
    """Multiplies a copy of the rows in a FAISS index that is only added to."""

    def __init__(self, backend: "AddOnlyBackend", dimension: int) -> None:
        self._backend = backend
        self._dimension = dimension
        self._index = faiss_module().IndexFlatIP(dimension)

    def append(self, rows: FloatRows) -> None:
        self._backend.require_room(self._index.ntotal + len(rows), self._dimension)
        self._index.add(np.ascontiguousarray(rows))

    def propose(self, probes: FloatRows, rows: FloatRows, width: int, start: int = 0) -> Proposed:
        assert (start, len(rows)) == (0, self._index.ntotal)
        scores, positions = self._index.search(probes, width)
        return scores, positions


class AddOnlyBackend(CpuBackend):
    """Segments whose rows are copied to where they can be neither removed nor changed.

    Removed rows stay in the copies, so an answer relies on the host alone. room: rows that fit; promised: rows that it
    says would fit.
    """

    def __init__(self, segment_rows: int = SMALL_SEGMENTS, widest: int = SMALL_WIDEST, room: int = 1 << 40) -> None:
        super().__init__(segment_rows, widest, code_rows=None)
        self.name = "add-only"
        self.room = room
        self.promised = 1 << 40

    def open_proposer(self, dimension: int, rows: int, kind: IndexKind) -> Proposer:  # noqa: ARG002  (the protocol's)
        return AddOnlyProposer(self, dimension)

    def require_room(self, rows: int, dimension: int) -> None:  # noqa: ARG002  (the protocol's)
        if rows > self.room:
            raise DeviceFull(f"{rows} rows do not fit")

    def free_rows(self, dimension: int, kind: IndexKind = IndexKind.EXACT) -> int:  # noqa: ARG002  (the protocol's)
        return self.promised


class MultiplyingBackend(CpuBackend):
    """Segments in host memory whose rows are multiplied with every probe."""

    def __init__(self, segment_rows: int = SMALL_SEGMENTS, widest: int = SMALL_WIDEST) -> None:
        super().__init__(segment_rows, widest, multiplied_from=1)


class CodedBackend(CpuBackend):
    """Segments in host memory whose rows are searched by their codes, in blocks as small as possible."""

    def __init__(self, segment_rows: int = SMALL_SEGMENTS, widest: int = SMALL_WIDEST) -> None:
        super().__init__(segment_rows, widest, code_rows=max(1, segment_rows // 3))


class SettledIndex(ExactIndex):
    """Searches by all the codes that it can have, whenever it is asked."""

    def __init__(self, dimension: int, backend: Backend, tuning: Tuning) -> None:
        super().__init__(dimension, backend, tuning)
        self.set_kind(IndexKind.FAST)

    def search(self, vectors: FloatRows, gates: Scores, k: int, by: By, side: Side = Side.PASSING) -> Hits:
        self.settle()
        return super().search(vectors, gates, k, by, side)


def small_index(dimension: int, backend: Backend | None = None, slack: int = 1) -> ExactIndex:
    """Open an index whose segments and proposals are so small that every path is taken."""
    backend = backend or CpuBackend(SMALL_SEGMENTS, SMALL_WIDEST)
    opened = SettledIndex if isinstance(backend, CodedBackend) else ExactIndex
    index = opened(dimension, backend, Tuning(slack=slack, coded_slack=(0, slack)))
    if backend.fast_from is not None:
        index.set_kind(IndexKind.AUTO)
    return index


def tidied(index: VectorIndex) -> int:
    """Let an index do all that is left from mutations and gates; return in how many steps."""
    steps = 0
    while index.tidy():
        steps += 1
    return steps


def unit_rows(values: object) -> NDArray[np.float32]:
    """Return rows of any numbers at unit length."""
    rows = np.asarray(values, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / norms, dtype=np.float32)


def put(
    index: VectorIndex,
    faces: Sequence[tuple[int, int, float]],
    vectors: object,
    removed: Sequence[int] = (),
) -> None:
    """Apply (face id, subject id, ERS) with vectors as the next revision."""
    index.apply(
        index.revision + 1,
        np.array(removed, dtype=np.int64),
        np.array([face for face, _, _ in faces], dtype=np.int64),
        np.array([subject for _, subject, _ in faces], dtype=np.int64),
        np.array([ers for _, _, ers in faces], dtype=np.float64),
        unit_rows(vectors) if len(faces) else np.zeros((0, index.dimension), dtype=np.float32),
    )


def ask(
    index: VectorIndex,
    probes: object,
    k: int = 10,
    gate: float = 0.0,
    by: By = By.SUBJECT,
    side: Side = Side.PASSING,
) -> Hits:
    """Search with one gate for all probes."""
    vectors = unit_rows(probes)
    return index.search(vectors, np.full(len(vectors), gate), k, by, side)


def rows_of(hits: Hits, probe: int = 0) -> list[tuple[int, int]]:
    """Return (subject id, face id) of one probe's hits in order."""
    rows = slice(int(hits.offsets[probe]), int(hits.offsets[probe + 1]))
    return list(zip(hits.subject_ids[rows].tolist(), hits.face_ids[rows].tolist(), strict=True))
