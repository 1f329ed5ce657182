"""Labelled faces in arrays: given, or read from a gallery's store without keeping it open."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ersgallery_server.operations import Progress
from ersgallery_server.store import Store

MAX_FACES = 50_000
"""All pairs of so many faces take minutes on one core; a sample of so many says as much."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """n faces: rows (n, d) float32 stored unit rows, people (n,) int64 numbers that say who."""

    rows: NDArray[np.float32]
    people: NDArray[np.int64]

    @classmethod
    def of_gallery(cls, store: Store, gallery_key: int, *, least: int, progress: Progress) -> Self:
        """Read the faces of subjects with at least `least` of them, of at most MAX_FACES, subjects drawn at random.

        They are read twice, so that memory holds no more than is used. Raises GalleryNotFound.
        """
        subjects: list[NDArray[np.int64]] = []
        seen = 0
        for chunk in store.load_faces(gallery_key):
            subjects.append(chunk.subject_keys)
            seen += len(chunk.subject_keys)
            progress(seen, 0)
        chosen = some_subjects(np.concatenate([np.empty(0, np.int64), *subjects]), least, MAX_FACES)
        rows: list[NDArray[np.float32]] = []
        people: list[NDArray[np.int64]] = []
        read = 0
        for chunk in store.load_faces(gallery_key):
            kept = np.isin(chunk.subject_keys, chosen)
            rows.append(chunk.embeddings[kept])
            people.append(chunk.subject_keys[kept])
            read += len(kept)
            progress(read, max(seen, read))
        if not rows:
            return cls(np.empty((0, 0), np.float32), np.empty(0, np.int64))
        return cls(np.concatenate(rows), np.concatenate(people))


def some_subjects(subjects: NDArray[np.int64], least: int, most_faces: int, seed: int = 0) -> NDArray[np.int64]:
    """Return subjects with at least `least` faces, drawn at random until their faces would be more than most_faces.

    subjects (n,): whose each face is.
    """
    keys, counts = np.unique(subjects, return_counts=True)
    order = np.random.default_rng(seed).permutation(np.flatnonzero((counts >= least) & (counts <= most_faces)))
    return np.sort(keys[order[np.cumsum(counts[order]) <= most_faces]])
