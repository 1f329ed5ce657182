"""When the store forgets: one thread looks from time to time, and takes small steps with pauses between them."""

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ersgallery_server.store.errors import StoreError
from ersgallery_server.store.store import Store
from ersgallery_server.store.transaction import WriteTransaction

EVERY_S = 600.0
PAUSE_S = 0.2

UTC_CLOCK: Callable[[], dt.datetime] = partial(dt.datetime.now, dt.UTC)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept: request ids for so long, and so many last changes of each gallery."""

    request_ids: dt.timedelta = dt.timedelta(days=7)
    changes: int = 1_000_000


class Forgetter:
    """Lets a store forget what need not be kept, at once and then again and again.

    wall: tells the time of day. It may jump, and what was kept shall not be forgotten for that: no more time has passed
    since the start than by the monotonic clock.
    """

    def __init__(
        self,
        store: Store,
        retention: Retention,
        *,
        every_s: float = EVERY_S,
        pause_s: float = PAUSE_S,
        wall: Callable[[], dt.datetime] = UTC_CLOCK,
    ) -> None:
        self._wall = wall
        self._begun, self._begun_s = wall(), time.monotonic()
        self._store = store
        self._retention = retention
        self._every_s = every_s
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-forgetter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more steps and return when the thread has ended; the store must still be open."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._forget()
            except StoreError:
                log.exception("the store could not forget what is old; it will be tried again")
            if self._stop.wait(self._every_s):
                return

    def _forget(self) -> None:
        passed = dt.timedelta(seconds=time.monotonic() - self._begun_s)
        before = min(self._wall(), self._begun + passed) - self._retention.request_ids
        requests = self._repeat(lambda transaction: transaction.forget_requests(before))
        changes = self._repeat(lambda transaction: transaction.forget_changes(self._retention.changes))
        if requests or changes:
            log.info("forgot %d request ids and %d changes that were old", requests, changes)

    def _repeat(self, step: Callable[[WriteTransaction], int]) -> int:
        """Take steps until one finds nothing; return how much was forgotten."""
        forgotten = 0
        while not self._stop.is_set():
            some = self._store.submit(step).result()
            forgotten += some
            if not some or self._stop.wait(self._pause_s):
                break
        return forgotten
