"""Where each face is and which faces a subject has, in sorted arrays: about 32 bytes a face."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ersgallery_index.interface import Ids

NOWHERE = -1
NO_IDS: Ids = np.empty(0, dtype=np.int64)


class Lookup:
    """Face id -> location, and subject id -> face ids.

    New entries wait in small side tables and are merged into the sorted arrays when there are many.
    """

    def __init__(self, side_entries: int = 4096) -> None:
        self._side_entries = side_entries
        self._faces = np.zeros(0, dtype=np.int64)
        self._locations = np.zeros(0, dtype=np.int64)
        self._new_locations: dict[int, int] = {}
        self._pair_subjects = np.zeros(0, dtype=np.int64)
        self._pair_faces = np.zeros(0, dtype=np.int64)
        self._new_subjects = np.zeros(0, dtype=np.int64)
        self._new_faces = np.zeros(0, dtype=np.int64)

    def locate(self, face_ids: Ids) -> Ids:
        """Return the location of each face, NOWHERE for an unknown one."""
        positions, known = self._positions(face_ids)
        locations = np.full(len(face_ids), NOWHERE, dtype=np.int64)
        locations[known] = self._locations[positions[known]]
        if self._new_locations:
            for row in np.flatnonzero(~known):
                locations[row] = self._new_locations.get(int(face_ids[row]), NOWHERE)
        return locations

    def place(self, face_ids: Ids, locations: Ids) -> None:
        """Set where faces are; NOWHERE forgets them."""
        positions, known = self._positions(face_ids)
        self._locations[positions[known]] = locations[known]
        self._new_locations.update(zip(face_ids[~known].tolist(), locations[~known].tolist(), strict=True))
        if len(self._new_locations) > self._room(len(self._faces)):
            self._merge_faces()

    def fill(self, parts: Sequence[tuple[Ids, Ids, Ids]]) -> None:
        """Take face ids, subject ids and locations into an empty lookup, all at once.

        Raises ValueError for a face id that is given twice.
        """
        every = [(NO_IDS, NO_IDS, NO_IDS), *parts]
        face_ids, subject_ids, locations = (np.concatenate(column) for column in zip(*every, strict=True))
        order = np.argsort(face_ids, kind="stable")
        self._faces, self._locations = face_ids[order], locations[order]
        if (np.diff(self._faces) == 0).any():
            raise ValueError("a face id is given twice")
        order = np.argsort(subject_ids, kind="stable")
        self._pair_subjects, self._pair_faces = subject_ids[order], face_ids[order]

    def enlist(self, subject_ids: Ids, face_ids: Ids) -> None:
        """Note which subject each face belongs to."""
        self._new_subjects = np.concatenate([self._new_subjects, subject_ids])
        self._new_faces = np.concatenate([self._new_faces, face_ids])
        if len(self._new_faces) > self._room(len(self._pair_faces)):
            self._merge_pairs()

    def faces_of(self, subject_id: int) -> Ids:
        """Return every face that was enlisted for a subject, by id; the caller checks which still are its."""
        start = np.searchsorted(self._pair_subjects, subject_id, side="left")
        end = np.searchsorted(self._pair_subjects, subject_id, side="right")
        return np.unique(
            np.concatenate([self._pair_faces[start:end], self._new_faces[self._new_subjects == subject_id]])
        )

    def faces_after(self, face_id: int, limit: int) -> Ids:
        """Return the lowest ids above one of faces that are somewhere, at most `limit`."""
        new = np.fromiter(self._new_locations.keys(), dtype=np.int64, count=len(self._new_locations))
        here = np.fromiter(self._new_locations.values(), dtype=np.int64, count=len(self._new_locations)) != NOWHERE
        new = np.sort(new[here & (new > face_id)])[:limit]
        start = int(np.searchsorted(self._faces, face_id, side="right"))
        found: list[Ids] = []
        missing = limit
        while missing > 0 and start < len(self._faces):
            chunk = slice(start, start + missing)
            living = self._faces[chunk][self._locations[chunk] != NOWHERE]
            found.append(living)
            missing, start = missing - len(living), chunk.stop
        return np.sort(np.concatenate([new, *found]))[:limit]

    def _room(self, merged: int) -> int:
        return max(self._side_entries, merged // 64)

    def _positions(self, face_ids: Ids) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        if len(self._faces) == 0:
            return np.zeros(len(face_ids), dtype=np.intp), np.zeros(len(face_ids), dtype=np.bool_)
        positions = np.minimum(np.searchsorted(self._faces, face_ids), len(self._faces) - 1)
        return positions, self._faces[positions] == face_ids

    def _merge_faces(self) -> None:
        faces = np.fromiter(self._new_locations.keys(), dtype=np.int64)
        order = np.argsort(faces)
        locations = np.fromiter(self._new_locations.values(), dtype=np.int64)[order]
        places = np.searchsorted(self._faces, faces[order])
        kept = np.insert(self._locations, places, locations) != NOWHERE
        self._faces = np.insert(self._faces, places, faces[order])[kept]
        self._locations = np.insert(self._locations, places, locations)[kept]
        self._new_locations = {}

    def _merge_pairs(self) -> None:
        order = np.argsort(self._new_subjects, kind="stable")
        places = np.searchsorted(self._pair_subjects, self._new_subjects[order], side="right")
        self._pair_faces = np.insert(self._pair_faces, places, self._new_faces[order])
        self._pair_subjects = np.insert(self._pair_subjects, places, self._new_subjects[order])
        self._new_subjects = np.zeros(0, dtype=np.int64)
        self._new_faces = np.zeros(0, dtype=np.int64)
        if len(self._pair_faces) > 2 * (len(self._faces) + len(self._new_locations)):
            self._drop_forgotten_pairs()

    def _drop_forgotten_pairs(self) -> None:
        """Drop the pairs of faces that are nowhere, and all but one of equal ones, as a replaced face leaves them."""
        order = np.lexsort((self._pair_faces, self._pair_subjects))
        subjects, faces = self._pair_subjects[order], self._pair_faces[order]
        first = np.diff(subjects, prepend=-1).astype(np.bool_) | np.diff(faces, prepend=-1).astype(np.bool_)
        kept = first & (self.locate(faces) != NOWHERE)
        self._pair_subjects, self._pair_faces = subjects[kept], faces[kept]
