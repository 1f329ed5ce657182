"""What becomes of the items of an enrolment: which faces are stored, and what the caller is told."""

import enum
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from ersgallery_index import Derivation, InvalidEmbedding, Recognizability

from ersgallery_server.errors import ModelMismatch, NotAcquired, ServiceError
from ersgallery_server.gallery.acquisition import Acquired, score_each
from ersgallery_server.gallery.inputs import AcquiredEmbedding, Member
from ersgallery_server.store import Enrolled
from ersgallery_server.values import AcquisitionCounts, FaceBox, GallerySettings, LowErs, Metadata, NewFace


class Disposition(enum.Enum):
    """What became of a face; the better ones come first."""

    ACCEPTED = "ACCEPTED"
    LOW_ERS = "LOW_ERS"
    REJECTED = "REJECTED"


class EnrollmentWarning(enum.Enum):
    """What was noticed at an enrolment that succeeded."""

    SUBJECT_NOT_SEARCHABLE = "SUBJECT_NOT_SEARCHABLE"
    LOWERS_SUBJECT_ERS = "LOWERS_SUBJECT_ERS"


@dataclass(frozen=True, slots=True)
class EnrollmentItem:
    """One item of a batch: a face, or the members of a template."""

    subject_id: str
    members: tuple[Member, ...]
    metadata: Metadata
    subject_display_name: str = ""


@dataclass(frozen=True, slots=True)
class FaceOutcome:
    """What became of one face; `reason` is empty when it was accepted, `face_id` None when it was rejected."""

    disposition: Disposition
    reason: str = ""
    detail: str = ""
    face_id: int | None = None
    recognizability: Recognizability | None = None
    embedding_norm: float = 0.0
    box: FaceBox | None = None


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one item."""

    subject_id: str
    faces: tuple[FaceOutcome, ...]
    warnings: tuple[EnrollmentWarning, ...] = ()

    @property
    def disposition(self) -> Disposition:
        """Return the best of its faces'."""
        found = {face.disposition for face in self.faces}
        return next(disposition for disposition in Disposition if disposition in found)


ItemError = InvalidEmbedding | ServiceError
ItemOutcome = ItemResult | ItemError


@dataclass(frozen=True, slots=True)
class EnrollmentReport:
    """One outcome per item, and the revision from which the faces are searchable."""

    outcomes: tuple[ItemOutcome, ...]
    revision: int


class EnrollmentPlan:
    """Decides the items of a batch before the store is asked, and reports them after it answered."""

    def __init__(
        self,
        items: Sequence[EnrollmentItem | ItemError],
        acquired: Sequence[Sequence[Acquired]],
        derivation: Derivation,
        settings: GallerySettings,
        gate: float,
    ) -> None:
        self._items = items
        self._gate = gate
        self._settings = settings
        self._faces: list[NewFace] = []
        scores = iter(score_each(derivation, [outcome for members in acquired for outcome in members]))
        self._plans = [
            item if isinstance(item, Exception) else self._plan(item, members, [next(scores) for _ in members])
            for item, members in zip(items, acquired, strict=True)
        ]

    @property
    def faces(self) -> Sequence[NewFace]:
        """Return the faces to store."""
        return self._faces

    @property
    def counts(self) -> AcquisitionCounts:
        """Return how many faces were offered and how many of them will not be stored."""
        attempts = sum(1 if isinstance(item, Exception) else len(item.members) for item in self._items)
        return AcquisitionCounts(enrollment_attempts=attempts, failures_to_enroll=attempts - len(self._faces))

    def report(self, enrolled: Enrolled) -> EnrollmentReport:
        """Fill in what the store gave: face ids and what became of the subjects."""
        face_ids = iter(enrolled.face_ids.tolist())
        findable = self._findable(enrolled)
        outcomes = [
            plan if isinstance(plan, Exception) else self._finish(plan, face_ids, enrolled, findable)
            for plan in self._plans
        ]
        return EnrollmentReport(tuple(outcomes), enrolled.revision)

    def _plan(
        self, item: EnrollmentItem, members: Sequence[Acquired], scores: Sequence[Recognizability | None]
    ) -> ItemOutcome:
        for outcome in members:
            if isinstance(outcome, InvalidEmbedding | ModelMismatch):
                return outcome
        return ItemResult(
            item.subject_id,
            tuple(
                self._face(item, member, outcome, score)
                for member, outcome, score in zip(item.members, members, scores, strict=True)
            ),
        )

    def _face(
        self, item: EnrollmentItem, member: Member, outcome: Acquired, score: Recognizability | None
    ) -> FaceOutcome:
        if isinstance(outcome, NotAcquired):
            return FaceOutcome(Disposition.REJECTED, outcome.reason, str(outcome))
        if not isinstance(outcome, AcquiredEmbedding) or score is None:
            raise TypeError("an invalid member reached the plan of its faces")
        low = score.ers < self._gate
        face = FaceOutcome(
            Disposition.LOW_ERS if low else Disposition.ACCEPTED,
            reason="LOW_ERS" if low else "",
            detail=f"ERS {score.ers:.3f} is below gamma_gallery {self._gate:.3f}" if low else "",
            recognizability=score,
            embedding_norm=outcome.norm,
            box=outcome.box,
        )
        if low and self._settings.low_ers is LowErs.REJECT:
            return replace(face, disposition=Disposition.REJECTED)
        self._faces.append(self._new_face(item, member, outcome, score))
        return face

    def _new_face(
        self, item: EnrollmentItem, member: Member, acquired: AcquiredEmbedding, score: Recognizability
    ) -> NewFace:
        return NewFace(
            subject_id=item.subject_id,
            embedding=acquired.unit,
            embedding_norm=acquired.norm,
            ers=score.ers,
            raw_ers=score.raw_ers,
            media_id=member.media_id,
            metadata=item.metadata,
            subject_display_name=item.subject_display_name,
            box=acquired.box,
            image=acquired.image if self._settings.store_images else None,
        )

    def _findable(self, enrolled: Enrolled) -> AbstractSet[str]:
        """Return the ids of the subjects that a search can find: by a face, or by a template that has a direction."""
        if enrolled.pooled is None:
            return {name for name, change in enrolled.subjects.items() if change.searchable_face_count > 0}
        rows = enrolled.pooled.rows
        keys = set(rows.subject_ids[rows.ers >= self._gate].tolist())
        owners = zip(self._faces, enrolled.subject_keys.tolist(), strict=True)
        return {face.subject_id for face, key in owners if key in keys}

    def _finish(
        self, plan: ItemResult, face_ids: Iterator[int], enrolled: Enrolled, findable: AbstractSet[str]
    ) -> ItemResult:
        faces = tuple(
            face if face.disposition is Disposition.REJECTED else replace(face, face_id=next(face_ids))
            for face in plan.faces
        )
        return replace(plan, faces=faces, warnings=self._warnings(plan, enrolled, findable))

    def _warnings(
        self, plan: ItemResult, enrolled: Enrolled, findable: AbstractSet[str]
    ) -> tuple[EnrollmentWarning, ...]:
        change = enrolled.subjects.get(plan.subject_id)
        if change is None or plan.disposition is Disposition.REJECTED:
            return ()
        warnings = []
        if plan.subject_id not in findable:
            warnings.append(EnrollmentWarning.SUBJECT_NOT_SEARCHABLE)
        if change.mean_ers_before is not None and change.mean_ers_before >= self._gate > change.mean_ers_after:
            warnings.append(EnrollmentWarning.LOWERS_SUBJECT_ERS)
        return tuple(warnings)
