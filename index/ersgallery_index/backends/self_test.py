"""A proof at start-up that a device filters and scores as the CPU does."""

import numpy as np

from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.proposers import Backend, CpuBackend
from ersgallery_index.errors import DeviceUnavailable
from ersgallery_index.interface import By, FloatRows, Hits, Scores, Side, VectorIndex
from ersgallery_index.sums import score_error

_FACES, _DIMENSION, _PROBES = 600, 64, 8


def prove(backend: Backend) -> None:
    """Raise DeviceUnavailable unless the backend answers as the CPU, with removed faces and faces below a gate."""
    faces, probes = _faces_and_probes()
    _prove_float32(backend, faces, probes)
    tested, trusted = ExactIndex(_DIMENSION, backend), ExactIndex(_DIMENSION, CpuBackend(segment_rows=_FACES))
    for index in (tested, trusted):
        _fill(index, faces)
    for side in Side:
        for by in By:
            for gate in (0.0, 0.5, 0.9):
                gates = np.full(_PROBES, gate)
                if not _equal(tested.search(probes, gates, 5, by, side), trusted.search(probes, gates, 5, by, side)):
                    raise DeviceUnavailable(f"{backend.name} does not filter faces as the CPU does")


def _faces_and_probes() -> tuple[FloatRows, FloatRows]:
    """Return faces near the probes, a third of them equal to another one."""
    random = np.random.default_rng(20210607)
    probes = _unit(random.standard_normal((_PROBES, _DIMENSION)))
    faces = _unit(probes[np.arange(_FACES) % _PROBES] + 0.2 * random.standard_normal((_FACES, _DIMENSION)))
    faces[::3] = faces[1::3]
    return faces, probes


def _unit(rows: Scores) -> FloatRows:
    norms: Scores = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms).astype(np.float32)


def _prove_float32(backend: Backend, faces: FloatRows, probes: FloatRows) -> None:
    """Check that the device's scores are within the float32 bound on which exactness rests (TF32 would not be)."""
    proposer = backend.open_proposer(_DIMENSION)
    proposer.append(faces)
    scores, positions = proposer.propose(probes, faces, 20)
    exact = np.einsum("qd,qkd->qk", probes.astype(np.float64), faces[positions].astype(np.float64))
    if not (np.abs(scores - exact) <= score_error(_DIMENSION)).all():
        raise DeviceUnavailable(f"{backend.name} computes with less than float32 precision")


def _fill(index: VectorIndex, faces: FloatRows) -> None:
    """Add all faces, then set a gate, remove every seventh face and replace every eleventh."""
    ids = np.arange(_FACES, dtype=np.int64)
    ers = np.linspace(0.0, 1.0, _FACES)[::-1].copy()
    index.apply(1, ids[:0], ids, ids // 4, ers, faces)
    index.set_gate(0.5)
    index.apply(2, ids[::7], ids[::11], ids[::11] // 4, ers[::-11].copy(), faces[::-11].copy())


def _equal(left: Hits, right: Hits) -> bool:
    return (
        np.array_equal(left.offsets, right.offsets)
        and np.array_equal(left.face_ids, right.face_ids)
        and np.array_equal(left.scores, right.scores)
    )
