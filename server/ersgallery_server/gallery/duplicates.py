"""Which items of an enrolment show a person who is another subject already, or an earlier item of the batch.

Only recognizable faces are compared, on both sides: with ERS at or above gamma and gamma_gallery. All unrecognizable
faces resemble each other, so that a blurred stranger would be a duplicate of every blurred enrolment.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from ersgallery_index import Policy
from ersgallery_index.interface import By, FloatRows
from ersgallery_index.sums import row_dots
from numpy.typing import NDArray

from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.values import DuplicateCheck, GalleryRecord

BLOCK_ROWS = 64
"""Faces that are searched at once; whoever searches meanwhile waits so long."""

_DOUBTFUL = 1e-9
"""So near to the threshold the order in which a product was added up could decide."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Another subject, and how similar the recognizable faces of an item are to it at most."""

    subject_id: str
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class DuplicateRules:
    """How a gallery is checked. gate: the ERS from which a face is compared. threshold: similarity of a duplicate."""

    gallery_id: str
    gate: float
    threshold: float
    refuse: bool

    @classmethod
    def of(cls, record: GalleryRecord) -> "DuplicateRules | None":
        """Return the rules of a gallery; None where it compares nothing."""
        settings = record.settings
        if settings.duplicate_check is DuplicateCheck.OFF:
            return None
        threshold = settings.tau if settings.duplicate_threshold is None else settings.duplicate_threshold
        gate = recognizable_gate(settings.policy(record.profile.profile))
        return cls(record.gallery_id, gate, threshold, settings.duplicate_check is DuplicateCheck.REFUSE)


@dataclass(frozen=True, slots=True, eq=False)
class OfferedFaces:
    """n recognizable faces of a batch, by their items: items (n,) rising, subject_ids n, derived vectors (n, d).

    rivals: the enrolled subject that each is most similar to besides its own; None where there is none.
    """

    items: Sequence[int]
    subject_ids: Sequence[str]
    vectors: FloatRows = field(repr=False)
    rivals: Sequence[Duplicate | None]


def recognizable_gate(policy: Policy) -> float:
    """Return the ERS from which a face is recognizable both as a probe and in the gallery."""
    return max(policy.gamma, policy.gamma_gallery)


def nearest_others(
    state: GalleryState, vectors: FloatRows, subject_ids: Sequence[str], gate: float
) -> list[Duplicate | None]:
    """Return the best other subject of each derived row; subject_ids: whom each is to be enrolled as."""
    hits = state.index.search(vectors, np.full(len(vectors), gate), 2, By.SUBJECT)
    found: list[Duplicate | None] = []
    for row, own in enumerate(subject_ids):
        places = range(int(hits.offsets[row]), int(hits.offsets[row + 1]))
        others = ((state.subject_ids[int(hits.subject_ids[i])], float(hits.scores[i])) for i in places)
        found.append(next((Duplicate(other, score) for other, score in others if other != own), None))
    return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares the faces of an enrolment with the other subjects; ask: does a block of it on the owner's thread."""

    rules: DuplicateRules
    ask: Callable[[Callable[[GalleryState], list[Duplicate | None]]], list[Duplicate | None]]

    def rivals(self, vectors: FloatRows, subject_ids: Sequence[str]) -> list[Duplicate | None]:
        """Return the best other subject of each derived row (n, d), in blocks, between which others are answered."""
        found: list[Duplicate | None] = []
        for start in range(0, len(vectors), BLOCK_ROWS):
            some = slice(start, start + BLOCK_ROWS)
            block = partial(nearest_others, vectors=vectors[some], subject_ids=subject_ids[some], gate=self.rules.gate)
            found += self.ask(block)
        return found


def find_duplicates(faces: OfferedFaces, rules: DuplicateRules) -> dict[int, Duplicate]:
    """Return the items that are duplicates, each with the subject it is most similar to.

    An item is compared with the enrolled subjects and with the items before it that will be stored: all, unless
    duplicates are refused.
    """
    similar = _similar_before(faces, rules.threshold)
    found: dict[int, Duplicate] = {}
    for row, item in enumerate(faces.items):
        rival = faces.rivals[row]
        rivals = [rival] if rival is not None and rival.similarity >= rules.threshold else []
        rivals += [
            Duplicate(faces.subject_ids[other], score)
            for other, score in similar.get(row, ())
            if not (rules.refuse and faces.items[other] in found)
        ]
        for each in rivals:
            if item not in found or each.similarity > found[item].similarity:
                found[item] = each
    return found


def _similar_before(faces: OfferedFaces, threshold: float) -> dict[int, list[tuple[int, float]]]:
    """Return for each face the faces of other subjects in items before its own from this similarity on."""
    rows = faces.vectors.astype(np.float64)
    scores = rows @ rows.T
    names, items = np.array(faces.subject_ids, object), np.array(faces.items)
    may_be: NDArray[np.bool_] = (items[:, None] > items[None, :]) & (names[:, None] != names[None, :])
    for row in np.flatnonzero((may_be & (abs(scores - threshold) < _DOUBTFUL)).any(axis=1)).tolist():
        scores[row] = row_dots(rows, rows[row])
    found: dict[int, list[tuple[int, float]]] = {}
    for row, other in np.argwhere(may_be & (scores >= threshold)).tolist():
        found.setdefault(row, []).append((other, float(scores[row, other])))
    return found
