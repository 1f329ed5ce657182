"""All tokens in memory, by a thread that looks every second whether one was made or revoked."""

import datetime as dt
import hmac
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import structlog

from ersgallery_server.access.tokens import digest_of, id_of
from ersgallery_server.grants import TokenRecord
from ersgallery_server.store import Store, StoreError

EVERY_S = 1.0
USE_NOTED_EVERY = dt.timedelta(hours=1)

_NOBODYS = bytes(32)


def _tell_nobody() -> None:
    """Tell nobody."""


log = structlog.get_logger(__name__)


class TokenDirectory:
    """Finds the record of a token that a caller sent; no call reads the database, and of wrong tokens nothing is kept.

    While the database does not answer, the tokens that were known go on being valid: nobody can revoke one meanwhile.
    """

    def __init__(
        self,
        store: Store,
        *,
        every_s: float = EVERY_S,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        """Read the tokens; raises StoreUnavailable."""
        self._store = store
        self._every_s = every_s
        self._now = now
        self._used: set[str] = set()
        self._failing = False
        self._noting: Future[None] | None = None
        self.looked: Callable[[], None] = _tell_nobody
        """Called after each look at the store, and where it does not answer: time alone ends tokens too."""
        self._stop = threading.Event()
        self._change = -1
        self._tokens: Mapping[str, TokenRecord] = {}
        self.refresh()
        self._thread = threading.Thread(target=self._run, name="tokens", daemon=True)
        self._thread.start()

    def find(self, text: str) -> TokenRecord | None:
        """Return the token of a text, None for one that is unknown, expired or revoked.

        The digests are compared in constant time, also where there is no token of the id.
        """
        token_id = id_of(text)
        record = None if token_id is None else self._tokens.get(token_id)
        digests_equal = hmac.compare_digest(digest_of(text), _NOBODYS if record is None else record.digest)
        if record is None or not digests_equal:
            return None
        now = self._now()
        if not record.is_valid(now):
            return None
        if record.last_use_time is None or now - record.last_use_time >= USE_NOTED_EVERY:
            self._used.add(record.token_id)
        return record

    def refresh(self) -> None:
        """Take over what changed in the store, and have it written down who came; raises StoreError.

        No write is waited for: one that is long, or that fails, must not keep a token open that was revoked.
        """
        noted = self._noting is not None and self._noting.done()
        change = self._store.token_change()
        if noted or change != self._change:
            self._tokens = {token.token_id: token for token in self._store.tokens()}
            self._change = change
        if noted:
            self._noting = None
        if self._used and self._noting is None:
            used, self._used = self._used, set()
            self._noting = self._store.submit(lambda transaction: transaction.note_token_uses(used))

    def close(self) -> None:
        """Look no more; the store must still be open."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.refresh()
            except Exception as error:  # noqa: BLE001 - a thread that ends would never see a token revoked again
                if not self._failing:
                    why = str(error) if isinstance(error, StoreError) else type(error).__name__
                    log.warning("changes of tokens cannot be followed; those that are known stay valid", error=why)
                self._failing = True
            else:
                self._failing = False
            self.looked()
