"""What a gallery is probed with when tau is chosen: strangers, or its own subjects; faces, or templates of them.

A gallery that is searched by template is probed with templates, made as its own are: a template lies nearer to what
people have in common than a single face, so that single faces would give a tau for other scores.
"""

from dataclasses import dataclass

import numpy as np
from ersgallery_index import Derivation, Representation, Template, represent, represent_templates
from ersgallery_index.calibration.estimates import ThresholdWarning
from ersgallery_index.calibration.non_mated import PER_PERSON, STRANGER, some_of_each
from ersgallery_index.errors import CalibrationFailed
from numpy.typing import NDArray

from ersgallery_server.calibrations.faces import MAX_FACES, LabelledFaces, some_subjects
from ersgallery_server.operations import Progress
from ersgallery_server.store import Store
from ersgallery_server.values import GalleryRecord, SubjectFaces, SubjectSearch

_BLOCK_SUBJECTS = 256

SINGLE_FACE_PROBES = ThresholdWarning(
    "SINGLE_FACE_PROBES",
    "the gallery is searched by template, and the strangers given were searched face by face, for nothing says who they"
    " show; probes that are templates score otherwise: without strangers, templates of the gallery's own subjects are"
    " searched",
)


@dataclass(frozen=True, slots=True, eq=False)
class TauProbes:
    """Probes (p rows), their owners (p,) int64 in the gallery or STRANGER, and what they are, for people."""

    probes: Representation
    owners: NDArray[np.int64]
    described: str
    warnings: tuple[ThresholdWarning, ...] = ()

    @classmethod
    def of_strangers(cls, record: GalleryRecord, rows: NDArray[np.float32]) -> "TauProbes":
        """Probe with faces (p, d) float32 of people who are not enrolled, each by itself."""
        return cls(
            represent(derivation_of(record), rows),
            np.full(len(rows), STRANGER, np.int64),
            "probed with the faces given, one by one",
            (SINGLE_FACE_PROBES,) if _by_template(record) else (),
        )

    @classmethod
    def of_gallery(cls, store: Store, record: GalleryRecord, progress: Progress) -> "TauProbes":
        """Probe with the gallery's own subjects: a template of all faces of each, or up to PER_PERSON faces.

        Raises GalleryNotFound, and CalibrationFailed where there is no face.
        """
        if _by_template(record):
            return _templates(store, record, progress)
        faces = LabelledFaces.of_gallery(store, record.key, least=1, progress=progress)
        _require_faces(len(faces.people))
        chosen = some_of_each(faces.people, PER_PERSON)
        return cls(
            represent(derivation_of(record), faces.rows[chosen]),
            faces.people[chosen],
            f"probed with up to {PER_PERSON} faces of every subject",
        )


def derivation_of(record: GalleryRecord) -> Derivation:
    """Return how the vectors of a gallery are derived."""
    return Derivation(record.profile.profile, enhance=record.settings.enhance_features)


def _templates(store: Store, record: GalleryRecord, progress: Progress) -> TauProbes:
    subjects = _subjects(store, record.key, progress)
    _require_faces(len(subjects))
    derivation, settings = derivation_of(record), record.settings
    parts: list[Representation] = []
    for start in range(0, len(subjects), _BLOCK_SUBJECTS):
        progress(start, len(subjects))
        templates = [
            Template(each.embeddings, each.media, settings.template_weighting, settings.template_media_pooling)
            for each in subjects[start : start + _BLOCK_SUBJECTS]
        ]
        parts.append(represent_templates(derivation, templates))
    owners = np.array([each.subject_key for each in subjects], np.int64)
    return TauProbes(
        Representation.concatenate(parts), owners, "probed with one template of every subject, of all its faces"
    )


def _subjects(store: Store, gallery_key: int, progress: Progress) -> list[SubjectFaces]:
    """Read subjects with at most MAX_FACES faces together, drawn at random; nothing is computed while they are read."""
    people = [np.empty(0, np.int64)]
    for chunk in store.load_faces(gallery_key):
        people.append(chunk.subject_keys)
        progress(sum(map(len, people)), 0)
    faces = np.concatenate(people)
    chosen = set(some_subjects(faces, 1, MAX_FACES).tolist())
    found: list[SubjectFaces] = []
    read = 0
    with store.snapshot(gallery_key) as snapshot:
        for part in snapshot.subjects:
            found += [each for each in part if each.subject_key in chosen]
            read += sum(len(each.media) for each in part)
            progress(read, max(read, len(faces)))
    return found


def _by_template(record: GalleryRecord) -> bool:
    return record.settings.subject_search is SubjectSearch.TEMPLATE


def _require_faces(count: int) -> None:
    if not count:
        raise CalibrationFailed("TOO_FEW_PROBES", "there is no probe: the gallery has no face")
