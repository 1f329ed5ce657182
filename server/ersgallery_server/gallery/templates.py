"""The templates of subjects that writes touch, made inside the write's transaction.

A template is a sum over all faces of its subject. To read them again at every enrolment would cost the square of their
number, so the sums of subjects with many faces are remembered. They stay in memory and are no second truth: what is
remembered covers the faces up to one of them, and is used only where the number of all faces shows that none of those
has gone, so that a restart, a deletion or another server at the same database costs one more reading and never an
answer. The sums are exact (`ersgallery_index.sums`): templates do not depend on what was remembered.
"""

from collections import OrderedDict

import numpy as np
from ersgallery_index import Derivation, Template
from ersgallery_index.template_sums import TemplateSums
from ersgallery_index.templates import sum_members

from ersgallery_server.gallery.contents import rows_of_templates
from ersgallery_server.store import MemberSums, PooledSubjects, TemplateRecipe, TouchedSubjects
from ersgallery_server.values import SubjectFaces

REMEMBERED_FROM_FACES = 32
"""Fewer are read again in the time that a transaction takes anyway."""

REMEMBERED_BYTES = 64 << 20
"""Of one gallery: some 5,000 subjects of dimension 512, or as many media of those whose media are pooled."""


class SubjectTemplates:
    """Makes templates and remembers sums, for one gallery; on the store's writer thread alone."""

    def __init__(self, *, from_faces: int = REMEMBERED_FROM_FACES, most_bytes: int = REMEMBERED_BYTES) -> None:
        self._from_faces = from_faces
        self._most_bytes = most_bytes
        self._bytes = 0
        self._known: OrderedDict[int, MemberSums] = OrderedDict()
        self._recipe: TemplateRecipe | None = None
        self._derivation: Derivation | None = None

    def pool(self, touched: TouchedSubjects) -> PooledSubjects:
        """Make the templates of subjects; nothing is remembered before it is committed."""
        derivation = self._derivation_of(touched)
        found = {key: self._extended(touched, key, derivation) for key in touched.subject_keys}
        missing = [key for key, sums in found.items() if sums is None]
        for faces in touched.faces(missing):
            found[faces.subject_key] = _added(None, faces, derivation, touched.recipe)
        sums = [each for each in found.values() if each is not None and each.sums.members]
        return PooledSubjects(
            touched.recipe,
            np.array(touched.subject_keys, np.int64),
            rows_of_templates(
                [each.subject_key for each in sums], [each.sums.direction() for each in sums], touched.dimension
            ),
            tuple(each for each in sums if self._is_worth_it(each.sums, touched.recipe)),
        )

    def remember(self, pooled: PooledSubjects | None) -> None:
        """Take the sums of a write that was committed, in place of what was known of its subjects."""
        if pooled is None:
            return
        for key in pooled.subject_keys.tolist():
            self.forget(key)
        if pooled.recipe != self._recipe:
            return
        for each in pooled.sums:
            self._known[each.subject_key] = each
            self._bytes += each.sums.nbytes
        while self._bytes > self._most_bytes:
            _, oldest = self._known.popitem(last=False)
            self._bytes -= oldest.sums.nbytes

    def forget(self, subject_key: int) -> None:
        """Forget a subject, which may be gone."""
        if (known := self._known.pop(subject_key, None)) is not None:
            self._bytes -= known.sums.nbytes

    def clear(self) -> None:
        """Forget everything, for the gallery is searched otherwise."""
        self._known.clear()
        self._bytes = 0
        self._recipe = self._derivation = None

    @property
    def remembered(self) -> tuple[int, ...]:
        """Return the subjects whose sums are remembered, the one that was touched last at the end."""
        return tuple(self._known)

    def _is_worth_it(self, sums: TemplateSums, recipe: TemplateRecipe) -> bool:
        return recipe.weighting.is_additive and sums.members >= self._from_faces and sums.nbytes <= self._most_bytes

    def _derivation_of(self, touched: TouchedSubjects) -> Derivation:
        if self._derivation is None or self._recipe != touched.recipe:
            derivation = Derivation(touched.profile(), enhance=touched.recipe.enhance_features)
            self.clear()
            self._recipe, self._derivation = touched.recipe, derivation
        return self._derivation

    def _extended(self, touched: TouchedSubjects, key: int, derivation: Derivation) -> MemberSums | None:
        """Add the faces that came since to what is remembered; None where the subject must be read again."""
        known, count = self._known.get(key), touched.face_counts.get(key)
        if known is None or count is None:
            return None
        later = touched.later_faces(key, known.last_face_id)
        if known.sums.members + len(later.media) != count:
            return None
        return _added(known, later, derivation, touched.recipe)


def _added(known: MemberSums | None, faces: SubjectFaces, derivation: Derivation, recipe: TemplateRecipe) -> MemberSums:
    sums = known.sums if known else TemplateSums.empty(derivation.profile.dimension)
    if faces.media:
        template = Template(faces.embeddings, faces.media, recipe.weighting, recipe.media_pooling)
        before = known.sums if known else None
        sums = sum_members(template, derivation.directions(faces.embeddings), before)
    return MemberSums(faces.subject_key, faces.last_face_id or (known.last_face_id if known else 0), sums)
