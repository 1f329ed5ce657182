"""Receipts of deletions."""

import datetime as dt

from ersgallery.v1 import gallery_pb2

from ersgallery_server.store import Erased, Store

WAIT_S = 5.0
"""A deletion is answered after so long even where SQLite's log could not be emptied yet."""

_DATABASE = {
    Erased.YES: gallery_pb2.Erasure.DATABASE_ERASED,
    Erased.PENDING: gallery_pb2.Erasure.DATABASE_PENDING,
    Erased.LEFT_TO_VACUUM: gallery_pb2.Erasure.DATABASE_LEFT_TO_VACUUM,
}


class Receipts:
    """Says of deletions what was erased where. names_kept: how long requests are remembered."""

    def __init__(self, store: Store, names_kept: dt.timedelta) -> None:
        self._store = store
        self._names_kept = names_kept

    def of(
        self, *, faces: int, images: int, subjects: int = 0, templates: int = 0, with_gallery: bool = False
    ) -> gallery_pb2.Erasure:
        """Return the receipt of a deletion that is committed and out of the index and the snapshots."""
        erasure = gallery_pb2.Erasure(
            deleted_subjects=subjects,
            deleted_faces=faces,
            deleted_images=images,
            recomputed_templates=templates,
            database=_DATABASE[self._store.erased(WAIT_S)],
        )
        if not with_gallery:
            erasure.names_kept_until_time.FromDatetime(dt.datetime.now(dt.UTC) + self._names_kept)
        return erasure
