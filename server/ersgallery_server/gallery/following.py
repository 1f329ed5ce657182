"""Settings on their way from the database to an index, also where the database goes away in between.

An index is built anew from what the database holds after a change of profile was committed there. A database that goes
away between the two leaves the index behind; it is built as soon as the database answers again.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future

import structlog

from ersgallery_server.errors import IndexBehind
from ersgallery_server.gallery.gallery import Gallery
from ersgallery_server.gallery.state import GalleryState
from ersgallery_server.store import GalleryNotFound, Store, StoreClosed, StoreUnavailable, WriteTransaction
from ersgallery_server.values import GalleryRecord

RETRY_S = 1.0

Rebuild = Callable[[GalleryRecord], GalleryState]

log = structlog.get_logger(__name__)


class SettingsFollower:
    """Hands committed settings to galleries, and again later to those that could not follow."""

    def __init__(self, store: Store, rebuild: Rebuild) -> None:
        self._store = store
        self._rebuild = rebuild
        self._stop = threading.Event()

    def take(self, gallery: Gallery, record: GalleryRecord, done: "Future[None]") -> None:
        """Do as Gallery.take_settings does, on the writer's thread, and later again where the database is gone."""
        try:
            gallery.take_settings(record, self._rebuild, done)
        except IndexBehind as behind:
            if _may_pass(behind.__cause__):
                threading.Thread(target=self._try_again, args=(gallery,), name="index-follower", daemon=True).start()
            raise

    def close(self) -> None:
        """Try nothing again."""
        self._stop.set()

    def _try_again(self, gallery: Gallery) -> None:
        gallery_id, key = gallery.record.gallery_id, gallery.record.key

        def present(transaction: WriteTransaction) -> GalleryRecord:
            record = transaction.gallery(gallery_id)
            if record.key != key:  # another of its name
                raise GalleryNotFound(gallery_id)
            return record

        def follow(record: GalleryRecord) -> None:
            gallery.take_settings(record, self._rebuild, Future())

        while not self._stop.wait(RETRY_S):
            try:
                self._store.submit(present, follow).result()
            except Exception as error:  # noqa: BLE001 - whatever it is, the gallery goes on as it was
                if _may_pass(error) or _may_pass(error.__cause__):
                    continue
                log.warning("an index stays behind its database", gallery=gallery_id, reason=type(error).__name__)
            else:
                log.info("an index follows its database again", gallery=gallery_id)
            return


def _may_pass(error: BaseException | None) -> bool:
    return isinstance(error, StoreUnavailable) and not isinstance(error, StoreClosed)
