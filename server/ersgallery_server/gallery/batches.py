"""A batch of an enrolment between its faces and the store, and what follows in the index once it is stored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ersgallery_server.gallery.acquisition import AcquiredFaces
from ersgallery_server.gallery.enrollment import EnrollmentItem, EnrollmentPlan, EnrollmentReport, ItemError
from ersgallery_server.gallery.state import GalleryState, add_faces, add_rows, change_templates
from ersgallery_server.store import Enrolled
from ersgallery_server.values import AcquisitionCounts, StoredFaces


@dataclass(frozen=True, slots=True, eq=False)
class EnrollmentBatch:
    """An enrolment whose faces were acquired: it may have to be scored more than once."""

    items: Sequence[EnrollmentItem | ItemError]
    acquired: AcquiredFaces
    acquisitions: AcquisitionCounts
    request: tuple[str, bytes] | None
    encode: Callable[[EnrollmentReport], bytes]


def index_enrolled(state: GalleryState, plan: EnrollmentPlan, enrolled: Enrolled) -> GalleryState:
    """Make what was stored searchable."""
    faces = plan.faces
    if not len(faces):
        return state
    state.subject_ids.update(zip(enrolled.subject_keys.tolist(), faces.subject_ids, strict=True))
    if state.by_template:
        return change_templates(state, enrolled.pooled, enrolled.revision)
    # They were derived to be scored; only a state whose settings changed since needs them otherwise.
    rows = plan.rows(enrolled, state.derivation)
    if rows is not None:
        return add_rows(state, rows, enrolled.revision)
    stored = StoredFaces(
        face_ids=enrolled.face_ids,
        subject_keys=enrolled.subject_keys,
        ers=faces.ers,
        embeddings=faces.embeddings,
    )
    return add_faces(state, stored, enrolled.revision)
