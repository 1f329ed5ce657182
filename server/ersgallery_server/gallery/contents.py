"""What an index holds of stored faces: a row for each face, or one for each subject, its template.

The row of a template has the subject's own key for an id: keys and face ids come from one allocation and never meet.
"""

from collections.abc import Sequence

import numpy as np
from ersgallery_index import Derivation, IndexRows, Template, represent_templates
from numpy.typing import NDArray

from ersgallery_server.values import GallerySettings, StoredFaces, SubjectFaces


def face_rows(derivation: Derivation, faces: StoredFaces) -> IndexRows:
    """Derive a row for each face; one without a direction left can match nobody and stays out."""
    derived = derivation.derive(faces.embeddings)
    kept = derived.usable
    return IndexRows(faces.face_ids[kept], faces.subject_keys[kept], derived.ers[kept], derived.vectors[kept])


def template_rows(derivation: Derivation, settings: GallerySettings, subjects: Sequence[SubjectFaces]) -> IndexRows:
    """Derive a row for each subject; one without faces, or whose template has no direction, stays out."""
    present = [subject for subject in subjects if subject.media]
    pooled = represent_templates(
        derivation,
        [
            Template(each.embeddings, each.media, settings.template_weighting, settings.template_media_pooling)
            for each in present
        ],
    )
    keys = subject_keys(present)[pooled.usable]
    return IndexRows(keys, keys, pooled.ers[pooled.usable], pooled.vectors[pooled.usable])


def subject_keys(subjects: Sequence[SubjectFaces]) -> NDArray[np.int64]:
    """Return the keys of subjects (n,)."""
    return np.array([subject.subject_key for subject in subjects], np.int64)
