"""A proof at start-up that a device filters and scores as the CPU does."""

from collections.abc import Sequence

import numpy as np

from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_index.backends.proposers import Backend, CpuBackend
from ersgallery_index.errors import DeviceUnavailable
from ersgallery_index.interface import By, FloatRows, Hits, Ids, IndexKind, Scores, Side, VectorIndex

_FACES, _DIMENSION, _PROBES = 600, 64, 8
_PRODUCTS = ((_FACES, _DIMENSION), (_FACES, 512), (70_000, _DIMENSION))
"""Rows and dimensions of the products whose error is looked at; many rows are selected from in another way."""

_WIDTH = 200


def prove(backend: Backend) -> None:
    """Raise DeviceUnavailable unless the backend answers as the CPU, with removed faces and faces below a gate.

    Every kind of rows that it keeps is tried, and one turned into the other; then faces are removed from these.
    """
    kinds = [IndexKind.EXACT] if backend.fast_from is None else [IndexKind.FAST, IndexKind.EXACT]
    for kind in kinds:
        for count, dimension in _PRODUCTS:
            _prove_proposals(backend, kind, *_faces_and_probes(count, dimension))
    faces, probes = _faces_and_probes(_FACES, _DIMENSION)
    tested, trusted = ExactIndex(_DIMENSION, backend), ExactIndex(_DIMENSION, CpuBackend(segment_rows=_FACES))
    for index in (tested, trusted):
        _fill(index, faces)
    for revision, kind in enumerate(kinds, 3):
        for index in (tested, trusted):
            index.set_kind(kind)
            while index.tidy():
                pass
        _compare(backend, (tested, trusted), probes)
        for index in (tested, trusted):
            _remove(index, revision, np.arange(revision, _FACES, 5))
        _compare(backend, (tested, trusted), probes)


def _compare(backend: Backend, indexes: Sequence[VectorIndex], probes: FloatRows) -> None:
    """Check that two indexes answer alike, whichever faces may be seen."""
    for side in Side:
        for by in By:
            for gate in (0.0, 0.5, 0.9):
                tested, trusted = (index.search(probes, np.full(_PROBES, gate), 5, by, side) for index in indexes)
                if not _equal(tested, trusted):
                    raise DeviceUnavailable(f"{backend.name} does not filter faces as the CPU does")


def _faces_and_probes(count: int, dimension: int) -> tuple[FloatRows, FloatRows]:
    """Return faces near the probes, a third of them equal to another one, with some very small numbers."""
    random = np.random.default_rng(20210607)
    probes = _unit(random.standard_normal((_PROBES, dimension)))
    faces = _unit(probes[np.arange(count) % _PROBES] + 0.2 * random.standard_normal((count, dimension)))
    faces[:-1:3] = faces[1::3]
    faces[:, :4] *= np.float32(2.0**-14)  # float16's subnormal numbers
    return _unit(faces.astype(np.float64)), probes


def _unit(rows: Scores) -> FloatRows:
    norms: Scores = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms).astype(np.float32)


def _prove_proposals(backend: Backend, kind: IndexKind, faces: FloatRows, probes: FloatRows) -> None:
    """Check what exactness rests on: scores within the stated error (those of TF32 are not), and no better row left."""
    count, dimension = faces.shape
    proposer = backend.open_proposer(dimension, count, kind)
    proposer.append(faces)
    scores, positions = proposer.propose(probes, faces, _WIDTH)
    exact = probes.astype(np.float64) @ faces.T.astype(np.float64)
    error = proposer.error(dimension)
    if not (np.abs(scores - np.take_along_axis(exact, positions, axis=1)) <= error).all():
        precision = "float16" if kind is IndexKind.FAST else "float32"
        raise DeviceUnavailable(f"{backend.name} computes with less than {precision} precision")
    np.put_along_axis(exact, positions, -np.inf, axis=1)
    if (exact.max(axis=1) > scores[:, -1] + error).any():
        raise DeviceUnavailable(f"{backend.name} does not propose the best rows")


def _fill(index: VectorIndex, faces: FloatRows) -> None:
    """Add all faces, then set a gate, remove every seventh face and replace every eleventh."""
    ids = np.arange(_FACES, dtype=np.int64)
    ers = np.linspace(0.0, 1.0, _FACES)[::-1].copy()
    index.apply(1, ids[:0], ids, ids // 4, ers, faces)
    index.set_gate(0.5)
    index.apply(2, ids[::7], ids[::11], ids[::11] // 4, ers[::-11].copy(), faces[::-11].copy())


def _remove(index: VectorIndex, revision: int, face_ids: Ids) -> None:
    none = face_ids[:0]
    vectors = np.empty((0, _DIMENSION), dtype=np.float32)
    index.apply(revision, face_ids, none, none, none.astype(np.float64), vectors)


def _equal(left: Hits, right: Hits) -> bool:
    return (
        np.array_equal(left.offsets, right.offsets)
        and np.array_equal(left.face_ids, right.face_ids)
        and np.array_equal(left.scores, right.scores)
    )
