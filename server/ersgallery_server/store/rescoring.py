"""A gallery under another profile: every face is scored again from its stored embedding."""

from collections.abc import Callable
from itertools import repeat

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, select, update

from ersgallery_server.store.arrays import unpack_float32_rows
from ersgallery_server.store.changes import lock_gallery, record_change
from ersgallery_server.store.outcomes import ChangeKind, Rescored
from ersgallery_server.store.profiles import profile_by_key
from ersgallery_server.store.sealing import EMBEDDING, open_faces
from ersgallery_server.store.tables import FACES
from ersgallery_server.store.writing import Writes

Scores = NDArray[np.float64]
Score = Callable[[NDArray[np.float32]], tuple[Scores, Scores]]

CHUNK_ROWS = 4096

_F = FACES.c
_UPDATE = (
    update(FACES)
    .where(_F.face_id == bindparam("scored_face_id"))
    .values(ers=bindparam("new_ers"), raw_ers=bindparam("new_raw_ers"), profile_key=bindparam("new_profile_key"))
)


class RescoringWrites(Writes):
    """Changes the profile of a gallery."""

    def rescore(self, gallery_key: int, profile_key: int, score: Score, chunk_rows: int = CHUNK_ROWS) -> Rescored:
        """Make a profile the gallery's, and give every face the score that it has under it.

        score: embeddings (n, d) float32 to ERS and raw ERS (n,). Other writes wait until it is done. Raises
        GalleryNotFound, ProfileNotFound, and ValueError where the profile is of another dimension.
        """
        gallery = lock_gallery(self.connection, gallery_key)
        profile = profile_by_key(self.connection, profile_key)
        dimension = profile.profile.dimension
        if dimension != gallery.dimension:
            raise ValueError("the profile is of another dimension than the gallery")
        face_count, last_face_id = 0, 0
        while chunk := self._rescore_chunk(gallery_key, last_face_id, chunk_rows, score, profile_key, dimension):
            face_count, last_face_id = face_count + len(chunk), chunk[-1]
        changed = {"profile_key": profile_key, "version": gallery.version + 1, "update_time": self.now}
        revision = record_change(self.connection, gallery, ChangeKind.RESCORE, self.now, columns=changed)
        return Rescored(revision, face_count)

    def _rescore_chunk(
        self, gallery_key: int, after_face_id: int, chunk_rows: int, score: Score, profile_key: int, dimension: int
    ) -> list[int]:
        """Score the next faces and return their ids; none at the end."""
        # One chunk after another, not one open cursor: rows must not change under it.
        rows = self.connection.execute(
            select(_F.face_id, _F.subject_key, _F.embedding)
            .where(_F.gallery_key == gallery_key, _F.face_id > after_face_id)
            .order_by(_F.face_id)
            .limit(chunk_rows)
        ).all()
        if not rows:
            return []
        face_ids, subject_keys, stored = zip(*rows, strict=True)
        embeddings = open_faces(self.connection, EMBEDDING, repeat(gallery_key), subject_keys, face_ids, stored)
        ers, raw_ers = score(unpack_float32_rows(embeddings, dimension))
        self.connection.execute(
            _UPDATE,
            [
                {"scored_face_id": face_id, "new_ers": e, "new_raw_ers": raw, "new_profile_key": profile_key}
                for face_id, e, raw in zip(face_ids, ers.tolist(), raw_ers.tolist(), strict=True)
            ],
        )
        return list(face_ids)
