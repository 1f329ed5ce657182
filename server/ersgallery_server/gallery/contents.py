"""What an index holds of stored faces: a row for each face, or one for each subject, its template.

The row of a template has the subject's own key for an id: keys and face ids come from one allocation and never meet.
"""

from collections.abc import Sequence

import numpy as np
from ersgallery_index import Derivation, IndexRows, Template
from ersgallery_index.recognizability import Directions
from ersgallery_index.templates import aggregate

from ersgallery_server.values import GallerySettings, StoredFaces, SubjectFaces


def face_rows(derivation: Derivation, faces: StoredFaces) -> IndexRows:
    """Derive a row for each face; one without a direction left can match nobody and stays out."""
    derived = derivation.derive(faces.embeddings)
    kept = derived.usable
    return IndexRows(faces.face_ids[kept], faces.subject_keys[kept], derived.ers[kept], derived.vectors[kept])


def rows_of_templates(keys: Sequence[int], templates: Sequence[Directions], dimension: int) -> IndexRows:
    """Return a row for each subject whose template has a direction; vectors are rounded to float32 here, once."""
    found = [(key, template) for key, template in zip(keys, templates, strict=True) if template.usable[0]]
    ids = np.array([key for key, _ in found], np.int64)
    ers = np.array([template.ers[0] for _, template in found], np.float64)
    vectors = np.array([template.vectors[0] for _, template in found], np.float32).reshape(-1, dimension)
    return IndexRows(ids, ids, ers, vectors)


def template_rows(derivation: Derivation, settings: GallerySettings, subjects: Sequence[SubjectFaces]) -> IndexRows:
    """Derive a row for each subject; one without faces, or whose template has no direction, stays out."""
    present = [subject for subject in subjects if subject.media]
    templates = [
        aggregate(
            Template(each.embeddings, each.media, settings.template_weighting, settings.template_media_pooling),
            derivation.directions(each.embeddings),
        )
        for each in present
    ]
    return rows_of_templates([each.subject_key for each in present], templates, derivation.profile.dimension)
