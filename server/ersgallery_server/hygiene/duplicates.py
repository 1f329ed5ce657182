"""Subjects that look like one person."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ersgallery_index.hygiene import Pairs, PairTable, groups_of

from ersgallery_server.gallery.duplicates import recognizable_gate
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.hygiene.other_subjects import OtherSubjects
from ersgallery_server.operations import Progress
from ersgallery_server.values import GalleryRecord


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two subjects, the one that was made first at first, and the most similar two of their recognizable faces.

    first_face, second_face: None in a gallery searched by template. similar_face_pairs: of face_pairs, those from the
    threshold on.
    """

    first: str
    second: str
    similarity: float
    first_face: int | None
    second_face: int | None
    face_pairs: int
    similar_face_pairs: int


_Described = tuple[DuplicatePair, tuple[int, int]]
"""A pair with the keys of its subjects."""


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Subjects that pairs connect, how many pairs these are, and the similarity of the most similar one."""

    subjects: tuple[str, ...]
    pairs: int
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class DuplicateFindings:
    """The most similar pairs first, and whom they connect. cut: less similar pairs were left out."""

    gallery_id: str
    pairs: tuple[DuplicatePair, ...]
    groups: tuple[DuplicateGroup, ...]
    cut: bool
    threshold: float
    gate: float
    faces: int
    revision: int


@dataclass(frozen=True, slots=True, eq=False)
class DuplicateTask:
    """What is to be found. record: the gallery as it was when it was asked for. most: pairs that are wanted."""

    gallery: Gallery
    record: GalleryRecord
    threshold: float
    most: int

    def run(self, progress: Progress) -> DuplicateFindings:
        """Compare all recognizable faces with those of all other subjects; raises CalibrationFailed."""
        gate = recognizable_gate(self.record.settings.policy(self.record.profile.profile))
        index = OtherSubjects(self.gallery, self.record, progress)
        table, faces = PairTable(self.most), 0
        for rows in index.rows():
            kept = rows.ers >= gate
            subjects, ids = rows.subject_ids[kept], rows.face_ids[kept]
            faces += len(ids)
            table.add(
                index.from_score(rows.vectors[kept], subjects, gate, self.threshold, self.most + 1), subjects, ids
            )
        found = table.best()
        described: list[_Described] = []
        for row in range(len(found)):
            index.tell(row, len(found))
            if each := index.ask(lambda state, row=row: _describe(state, found, row, gate, self.threshold)):  # type: ignore[misc]
                described.append(each)
        described.sort(key=lambda each: (-each[0].similarity, each[1]))
        pairs = tuple(pair for pair, _ in described)
        return DuplicateFindings(
            self.record.gallery_id,
            pairs,
            _groups(described),
            found.cut,
            self.threshold,
            gate,
            faces,
            index.ask(lambda state: state.record.revision),
        )


def _describe(state: GalleryState, found: Pairs, row: int, gate: float, threshold: float) -> _Described | None:
    """Compare two subjects completely, as they are now; None where they are no longer similar."""
    keys = int(found.first[row]), int(found.second[row])
    sides = [state.index.subject_faces(key) for key in keys]
    first, second = (side.vectors[side.ers >= gate].astype(np.float64) for side in sides)
    ids = [side.face_ids[side.ers >= gate] for side in sides]
    names = [state.subject_ids.get(key) for key in keys]
    if names[0] is None or names[1] is None or not len(first) or not len(second):
        return None
    scores = first @ second.T
    best, faces = float(found.scores[row]), [int(found.first_faces[row]), int(found.second_faces[row])]
    if faces[0] not in ids[0] or faces[1] not in ids[1]:  # deleted meanwhile
        best = float(scores.max())
        places = np.unravel_index(int(scores.argmax()), scores.shape)
        faces = [int(side[place]) for side, place in zip(ids, places, strict=True)]
    if best < threshold:
        return None
    pair = DuplicatePair(
        names[0],
        names[1],
        best,
        None if state.by_template else faces[0],
        None if state.by_template else faces[1],
        scores.size,
        max(1, int((scores >= threshold).sum())),
    )
    return pair, keys


def _groups(found: Sequence[_Described]) -> tuple[DuplicateGroup, ...]:
    names = {key: name for pair, keys in found for key, name in zip(keys, (pair.first, pair.second), strict=True)}
    groups = groups_of([keys[0] for _, keys in found], [keys[1] for _, keys in found])
    place = {key: number for number, group in enumerate(groups) for key in group}
    within: list[list[float]] = [[] for _ in groups]
    for pair, keys in found:
        within[place[keys[0]]].append(pair.similarity)
    return tuple(
        DuplicateGroup(tuple(names[key] for key in group), len(scores), max(scores))
        for group, scores in zip(groups, within, strict=True)
    )
