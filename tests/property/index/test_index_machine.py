"""Any sequence of mutations and questions leaves the index equal to a plain dictionary of faces."""

from collections.abc import Callable

import numpy as np
import pytest
from ersgallery_index import By, IndexRows, Side
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.proposers import Backend, CpuBackend
from ersgallery_index.backends.widths import Tuning
from ersgallery_index.interface import IndexKind
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support import oracle
from tests.support.accelerators import any_gpu, any_gpus
from tests.support.indexes import AddOnlyBackend, CodedBackend, MultiplyingBackend, SettledIndex, unit_rows

DIMENSION = 3
POOL = unit_rows(
    [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1.0000001], [1, 2, 3], [3, 2, 1], [-1, -1, -1]]
)
ERS = [0.0, 0.3, 0.5, 0.50000001, 0.7, 1.0]

face_ids = st.integers(0, 30)
gates = st.sampled_from([*ERS, 0.6])
new_faces = st.dictionaries(
    face_ids, st.tuples(st.integers(0, 6), st.sampled_from(ERS), st.integers(0, len(POOL) - 1)), max_size=12
)


class IndexMachine(RuleBasedStateMachine):
    """Drives one index and a dictionary side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.faces: dict[int, tuple[int, float, int]] = {}
        self.index = ExactIndex(DIMENSION, CpuBackend())
        self.revision = 0

    @initialize(
        kind=st.sampled_from([CpuBackend, AddOnlyBackend, MultiplyingBackend, CodedBackend, any_gpu, any_gpus]),
        segment_rows=st.integers(1, 8),
        widest=st.integers(1, 16),
        slack=st.integers(0, 2),
        sparse_share=st.sampled_from([0.0, 0.25, 0.9]),
        fast_from=st.integers(0, 20),
    )
    def open(
        self,
        kind: Callable[[int, int], Backend],
        segment_rows: int,
        widest: int,
        slack: int,
        sparse_share: float,
        fast_from: int,
    ) -> None:
        opened = SettledIndex if kind is CodedBackend else ExactIndex
        self.index = opened(DIMENSION, kind(segment_rows, widest), Tuning(slack, (0, slack), sparse_share, fast_from))

    @rule(faces=new_faces, removed=st.lists(face_ids, max_size=6), step=st.integers(1, 3))
    def apply(self, faces: dict[int, tuple[int, float, int]], removed: list[int], step: int) -> None:
        self.revision += step
        for face in removed:
            self.faces.pop(face, None)
        self.faces |= faces
        self._apply(self.revision, removed, faces)

    @rule(faces=new_faces, removed=st.lists(face_ids, max_size=6), back=st.integers(0, 2))
    def repeat_an_old_revision(self, faces: dict[int, tuple[int, float, int]], removed: list[int], back: int) -> None:
        self._apply(self.revision - back, removed, faces)

    def _apply(self, revision: int, removed: list[int], faces: dict[int, tuple[int, float, int]]) -> None:
        self.index.apply(
            revision,
            np.array(removed, dtype=np.int64),
            np.array(list(faces), dtype=np.int64),
            np.array([subject for subject, _, _ in faces.values()], dtype=np.int64),
            np.array([ers for _, ers, _ in faces.values()], dtype=np.float64),
            POOL[[vector for _, _, vector in faces.values()]].reshape(-1, DIMENSION),
        )

    @rule(steps=st.integers(1, 4))
    def tidy(self, steps: int) -> None:
        for _ in range(steps):
            self.index.tidy()

    @rule(kind=st.sampled_from(IndexKind))
    def set_kind(self, kind: IndexKind) -> None:
        self.index.set_kind(kind)

    @rule(gate=gates)
    def set_gate(self, gate: float) -> None:
        self.index.set_gate(gate)

    @rule(
        probes=st.lists(st.tuples(st.integers(0, len(POOL) - 1), gates), min_size=1, max_size=5),
        k=st.sampled_from([1, 2, 3, 50]),
        by=st.sampled_from(By),
        side=st.sampled_from(Side),
    )
    def search(self, probes: list[tuple[int, float]], k: int, by: By, side: Side) -> None:
        vectors = POOL[[vector for vector, _ in probes]]
        hits = self.index.search(vectors, np.array([gate for _, gate in probes]), k, by, side)
        faces = self._oracle_faces()
        for row, (vector, gate) in enumerate(probes):
            expected = oracle.search(
                faces, _floats(vector), gate, k, passing=side is Side.PASSING, by_face=by is By.FACE
            )
            rows = slice(int(hits.offsets[row]), int(hits.offsets[row + 1]))
            assert hits.face_ids[rows].tolist() == [hit.face_id for hit in expected]
            assert hits.subject_ids[rows].tolist() == [hit.subject_id for hit in expected]
            assert hits.ers[rows].tolist() == [hit.ers for hit in expected]
            assert hits.scores[rows].tolist() == [hit.score for hit in expected]

    @rule(subject=st.integers(0, 7))
    def subject_faces(self, subject: int) -> None:
        found = self.index.subject_faces(subject)
        assert found.face_ids.tolist() == sorted(f for f, (owner, _, _) in self.faces.items() if owner == subject)
        assert all(owner == subject for owner in found.subject_ids.tolist())
        assert found.vectors.tolist() == [POOL[self.faces[f][2]].tolist() for f in found.face_ids.tolist()]

    @rule(size=st.integers(1, 5), gate=gates)
    def restart_from_a_snapshot(self, size: int, gate: float) -> None:
        kept = self.index.snapshot()
        restored = SettledIndex(DIMENSION, CodedBackend(4, 8), Tuning(slack=1))
        restored.set_gate(gate)
        restored.restore(
            kept.revision,
            (
                IndexRows(
                    kept.face_ids[start : start + size],
                    kept.subject_ids[start : start + size],
                    kept.ers[start : start + size],
                    kept.vectors[start : start + size],
                )
                for start in range(0, len(kept.face_ids), size)
            ),
        )
        self.index = restored

    @rule(after=st.integers(-1, 40), limit=st.integers(1, 5), gate=gates)
    def walk_from_face_to_face_while_rows_move(self, after: int, limit: int, gate: float) -> None:
        walked: list[int] = []
        while len(rows := self.index.rows_after(walked[-1] if walked else after, limit).face_ids):
            assert len(rows) <= limit
            walked += rows.tolist()
            self.index.set_gate(gate)
        assert walked == sorted(face for face in self.faces if face > after)

    @rule(gate=gates)
    def count(self, gate: float) -> None:
        assert self.index.count(gate) == sum(ers >= gate for _, ers, _ in self.faces.values())

    @invariant()
    def snapshot_is_the_dictionary(self) -> None:
        snapshot = self.index.snapshot()
        ids = snapshot.face_ids.tolist()
        assert snapshot.revision == self.revision
        assert ids == sorted(self.faces)
        assert snapshot.subject_ids.tolist() == [self.faces[f][0] for f in ids]
        assert snapshot.ers.tolist() == [self.faces[f][1] for f in ids]
        assert snapshot.vectors.tolist() == [POOL[self.faces[f][2]].tolist() for f in ids]

    def _oracle_faces(self) -> list[oracle.Face]:
        return [
            oracle.Face(face, subject, oracle.Row(_floats(vector), ers, ers))
            for face, (subject, ers, vector) in self.faces.items()
        ]


def _floats(vector: int) -> list[float]:
    return [float(x) for x in POOL[vector]]


IndexMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


TestAnySequenceOfMutationsKeepsTheIndexEqualToADictionary = IndexMachine.TestCase


@pytest.mark.parametrize("by", By)
def test_the_machine_starts_with_an_empty_index(by: By) -> None:
    machine = IndexMachine()
    machine.search([(0, 0.0)], 1, by, Side.PASSING)
    machine.snapshot_is_the_dictionary()
