"""What becomes of the items of an enrolment: which faces are stored, and what the caller is told.

A batch is worked on in columns, a row for each face: an object per face would cost more than the database.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from ersgallery_index import Derivation, IndexRows, InvalidEmbedding
from numpy.typing import NDArray

from ersgallery_server.errors import DuplicateSubject, ModelMismatch, NotAcquired, ServiceError
from ersgallery_server.gallery.acquisition import AcquiredFaces
from ersgallery_server.gallery.duplicates import (
    Comparison,
    Duplicate,
    OfferedFaces,
    find_duplicates,
)
from ersgallery_server.gallery.inputs import Member
from ersgallery_server.store import Enrolled
from ersgallery_server.values import AcquisitionCounts, FaceBox, GallerySettings, LowErs, Metadata, NewFaces

Ids = NDArray[np.int64]
Rows = NDArray[np.intp]
S = TypeVar("S", bound=np.generic)


class Disposition(enum.Enum):
    """What became of a face; the better ones come first."""

    ACCEPTED = "ACCEPTED"
    LOW_ERS = "LOW_ERS"
    REJECTED = "REJECTED"


DISPOSITIONS: tuple[Disposition, ...] = tuple(Disposition)
ACCEPTED, LOW_ERS, REJECTED = range(3)
"""Dispositions by their places, as columns hold them."""


class EnrollmentWarning(enum.Enum):
    """What was noticed at an enrolment that succeeded."""

    SUBJECT_NOT_SEARCHABLE = "SUBJECT_NOT_SEARCHABLE"
    LOWERS_SUBJECT_ERS = "LOWERS_SUBJECT_ERS"
    DUPLICATE_SUBJECT = "DUPLICATE_SUBJECT"


_OF_SUBJECTS = (EnrollmentWarning.SUBJECT_NOT_SEARCHABLE, EnrollmentWarning.LOWERS_SUBJECT_ERS)


@dataclass(frozen=True, slots=True)
class EnrollmentItem:
    """One item of a batch: a face, or the members of a template."""

    subject_id: str
    members: tuple[Member, ...]
    metadata: Metadata
    subject_display_name: str = ""


ItemError = InvalidEmbedding | ServiceError


@dataclass(frozen=True, slots=True, eq=False)
class FaceOutcomes:
    """What became of n faces, in columns.

    dispositions (n,): places in DISPOSITIONS. face_ids: None for a face that was rejected. ers, raw_ers and norms: None
    for one that has no embedding. reasons: why a face was not accepted, and for people with the limit. boxes: of
    photographs. Both are by the place of the face.
    """

    dispositions: Sequence[int]
    face_ids: Sequence[int | None]
    ers: Sequence[float | None]
    raw_ers: Sequence[float | None]
    norms: Sequence[float | None]
    reasons: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    boxes: Mapping[int, FaceBox] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class EnrollmentReport:
    """What became of m items: an error, or the outcomes of their faces, which follow one another in `faces`.

    items: as they were given. starts (m + 1,): where the faces of each begin, and the end. errors, warnings: by item.
    revision: from which the faces are searchable. duplicates: by item, the other subject that it is similar to.
    """

    items: Sequence[EnrollmentItem | ItemError]
    starts: Sequence[int]
    errors: Mapping[int, ItemError]
    warnings: Mapping[int, Sequence[EnrollmentWarning]]
    faces: FaceOutcomes
    revision: int
    duplicates: Mapping[int, Duplicate] = field(default_factory=dict)


class EnrollmentPlan:
    """Decides the items of a batch before the store is asked, and reports them after it answered.

    acquired: the faces of all items, one after the other; an item that is an error has none. comparison: with the other
    subjects, which is made at once; None where there is none.
    """

    def __init__(
        self,
        items: Sequence[EnrollmentItem | ItemError],
        acquired: AcquiredFaces,
        derivation: Derivation,
        settings: GallerySettings,
        gate: float,
        comparison: Comparison | None = None,
    ) -> None:
        self._items = items
        self._acquired = acquired
        self._derivation = derivation
        self._gate = gate
        sizes = [0 if isinstance(item, Exception) else len(item.members) for item in items]
        self._starts: Rows = np.concatenate([[0], np.cumsum(sizes, dtype=np.intp)])
        self._item_of: Rows = np.repeat(np.arange(len(items)), sizes)
        self._errors = _errors(items, acquired, self._item_of)
        self._derived = derivation.derive(acquired.units)
        self._low = self._derived.ers < gate
        self._duplicates = {} if comparison is None else self._find_duplicates(comparison)
        kept = ~self._low if settings.low_ers is LowErs.REJECT else np.ones(len(self._low), np.bool_)
        kept &= ~np.isin(self._item_of[acquired.usable], list(self._errors))
        self._kept: Rows = np.flatnonzero(kept)
        self._faces = self._new_faces(store_images=settings.store_images)

    @property
    def faces(self) -> NewFaces:
        """Return the faces to store."""
        return self._faces

    @property
    def counts(self) -> AcquisitionCounts:
        """Return how many faces were offered and how many of them will not be stored."""
        attempts = self._acquired.count + sum(isinstance(item, Exception) for item in self._items)
        return AcquisitionCounts(enrollment_attempts=attempts, failures_to_enroll=attempts - len(self._faces))

    def rows(self, enrolled: Enrolled, derivation: Derivation) -> IndexRows | None:
        """Return what was stored as an index under this derivation holds it; None where it was derived by another.

        A face without a direction left can match nobody and stays out.
        """
        if derivation is not self._derivation:
            return None
        usable = self._derived.usable[self._kept]
        rows = self._kept[usable]
        return IndexRows(
            enrolled.face_ids[usable],
            enrolled.subject_keys[usable],
            _taken(self._derived.ers, rows),
            _taken(self._derived.vectors, rows),
        )

    def report(self, enrolled: Enrolled) -> EnrollmentReport:
        """Fill in what the store gave: face ids and what became of the subjects."""
        return EnrollmentReport(
            items=self._items,
            starts=self._starts.tolist(),
            errors=self._errors,
            warnings=self._warnings(enrolled),
            faces=self._outcomes(enrolled.face_ids),
            revision=enrolled.revision,
            duplicates=self._duplicates,
        )

    def _find_duplicates(self, comparison: Comparison) -> dict[int, Duplicate]:
        """Return the items that are duplicates; where they are refused, they become errors."""
        rules = comparison.rules
        item_of = self._item_of[self._acquired.usable]
        offered = self._derived.usable & (self._derived.ers >= rules.gate) & ~np.isin(item_of, list(self._errors))
        items = item_of[offered].tolist()
        subject_ids = [item.subject_id for i in items if isinstance(item := self._items[i], EnrollmentItem)]
        vectors = self._derived.vectors[offered]
        rivals = comparison.rivals(vectors, subject_ids)
        found = find_duplicates(OfferedFaces(items, subject_ids, vectors, rivals), rules)
        if not rules.refuse:
            return found
        for item, other in found.items():
            self._errors[item] = DuplicateSubject(rules.gallery_id, other.subject_id, other.similarity, rules.threshold)
        return {}

    def _new_faces(self, *, store_images: bool) -> NewFaces:
        acquired, rows = self._acquired, self._kept
        places = acquired.usable[rows].tolist()
        items = [self._items[i] for i in self._item_of[places].tolist()]
        offered = [item for item in items if isinstance(item, EnrollmentItem)]
        firsts = self._starts[self._item_of[places]].tolist()
        members = [item.members[place - first] for item, place, first in zip(offered, places, firsts, strict=True)]
        return NewFaces(
            subject_ids=[item.subject_id for item in offered],
            embeddings=_taken(acquired.units, rows),
            embedding_norms=_taken(acquired.norms, rows),
            ers=_taken(self._derived.ers, rows),
            raw_ers=_taken(self._derived.raw_ers, rows),
            media_ids=[member.media_id for member in members],
            metadata=[item.metadata for item in offered],
            display_names=[item.subject_display_name for item in offered],
            boxes=[acquired.boxes.get(place) for place in places],
            images=[acquired.images.get(place) if store_images else None for place in places],
        )

    def _outcomes(self, face_ids: Ids) -> FaceOutcomes:
        acquired, count = self._acquired, self._acquired.count
        dispositions = np.full(count, REJECTED)
        dispositions[acquired.usable[self._kept]] = np.where(self._low[self._kept], LOW_ERS, ACCEPTED)
        reasons = {
            place: (other.reason, str(other))
            for place, other in acquired.others.items()
            if isinstance(other, NotAcquired)
        }
        for row in np.flatnonzero(self._low).tolist():
            ers = float(self._derived.ers[row])
            reasons[int(acquired.usable[row])] = (
                "LOW_ERS",
                f"ERS {ers:.3f} is below gamma_gallery {self._gate:.3f}",
            )
        return FaceOutcomes(
            dispositions=dispositions.tolist(),
            face_ids=_placed(count, acquired.usable[self._kept], face_ids),
            ers=_placed(count, acquired.usable, self._derived.ers),
            raw_ers=_placed(count, acquired.usable, self._derived.raw_ers),
            norms=_placed(count, acquired.usable, acquired.norms),
            reasons=reasons,
            boxes=acquired.boxes,
        )

    def _warnings(self, enrolled: Enrolled) -> dict[int, list[EnrollmentWarning]]:
        """Return what there is to say of the items with stored faces."""
        changes = enrolled.subjects
        lowered = (changes.mean_ers_before >= self._gate) & (changes.mean_ers_after < self._gate)
        concerned = (~self._findable(enrolled), lowered)
        stored_items = self._item_of[self._acquired.usable[self._kept]]
        found: dict[int, list[EnrollmentWarning]] = {}
        for warning, subjects in zip(_OF_SUBJECTS, concerned, strict=True):
            for item in np.unique(stored_items[subjects[changes.owners]]).tolist():
                found.setdefault(item, []).append(warning)
        for item in self._duplicates:
            found.setdefault(item, []).append(EnrollmentWarning.DUPLICATE_SUBJECT)
        return found

    def _findable(self, enrolled: Enrolled) -> NDArray[np.bool_]:
        """Tell which subjects a search can find: by a face, or by a template that has a direction."""
        if enrolled.pooled is None:
            return enrolled.subjects.searchable_face_counts > 0
        rows = enrolled.pooled.rows
        return np.isin(enrolled.subjects.subject_keys, rows.subject_ids[rows.ers >= self._gate])


def _errors(
    items: Sequence[EnrollmentItem | ItemError], acquired: AcquiredFaces, item_of: Rows
) -> dict[int, ItemError]:
    """Return the items that are errors: as they came, or by the first of their faces that is no proper embedding."""
    found: dict[int, ItemError] = {i: item for i, item in enumerate(items) if isinstance(item, Exception)}
    for place, other in sorted(acquired.others.items()):
        if isinstance(other, InvalidEmbedding | ModelMismatch):
            found.setdefault(int(item_of[place]), other)
    return found


def _taken(values: NDArray[S], rows: Rows) -> NDArray[S]:
    """Return some rows in rising order, without a copy where they are all."""
    return values if len(rows) == len(values) else values[rows]


def _placed(count: int, places: Rows, values: NDArray[Any]) -> list[Any]:
    """Return a list with values at their places and None at the others."""
    if len(places) == count:
        return list(values.tolist())
    placed: list[Any] = [None] * count
    for place, value in zip(places.tolist(), values.tolist(), strict=True):
        placed[place] = value
    return placed
