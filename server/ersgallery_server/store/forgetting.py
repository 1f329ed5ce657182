"""What the store forgets in time: answers to old requests, and changes too old for a snapshot to catch up with."""

import datetime as dt
from typing import Any

from sqlalchemy import bindparam, delete, func, select

from ersgallery_server.store.tables import CHANGES, GALLERIES, REQUESTS
from ersgallery_server.store.writing import Writes

MAX_ROWS = 500
MAX_ANSWER_BYTES = 1 << 20
"""An answer may have a hundred kilobytes, and SQLite overwrites what it deletes: more would keep others waiting."""

_R = REQUESTS.c
_C = CHANGES.c
_FORGET = delete(REQUESTS).where(_R.gallery_key == bindparam("of_gallery"), _R.request_id == bindparam("forgotten_id"))


class ForgettingWrites(Writes):
    """Forgets in small steps, so that other writes wait for none of them long."""

    def forget_requests(self, before: dt.datetime) -> int:
        """Forget some of the request ids that were used before a time, the oldest first; return how many.

        Zero says that none is left. A request that comes again after this is a new one.
        """
        found = self.connection.execute(
            select(_R.gallery_key, _R.request_id, func.length(_R.response))
            .where(_R.create_time < before)
            .order_by(_R.create_time)
            .limit(MAX_ROWS)
        ).all()
        chosen: list[dict[str, Any]] = []
        answer_bytes = 0
        for gallery_key, request_id, size in found:
            if chosen and answer_bytes + size > MAX_ANSWER_BYTES:
                break
            chosen.append({"of_gallery": gallery_key, "forgotten_id": request_id})
            answer_bytes += size
        if chosen:
            self.connection.execute(_FORGET, chosen)
        return len(chosen)

    def forget_changes(self, kept: int) -> int:
        """Forget some changes of a gallery that has more than the last `kept`, the oldest first; return how many.

        Zero says that no gallery has more.
        """
        oldest = select(func.min(_C.revision)).where(_C.gallery_key == GALLERIES.c.key).scalar_subquery()
        found = self.connection.execute(
            select(GALLERIES.c.key, oldest, GALLERIES.c.revision - kept).where(oldest <= GALLERIES.c.revision - kept)
        ).first()
        if found is None:
            return 0
        gallery_key, first, last = found
        last = min(last, first + MAX_ROWS - 1)
        done = self.connection.execute(
            delete(CHANGES).where(_C.gallery_key == gallery_key, _C.revision.between(first, last))
        )
        return int(done.rowcount)
