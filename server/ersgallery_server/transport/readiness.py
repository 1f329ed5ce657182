"""Whether the server may be asked, told by health: NOT_SERVING while galleries are loaded, and during the drain.

What needs the store says NOT_SERVING while the store does not answer; identification goes on without it. A gallery
whose index is behind makes nothing NOT_SERVING: its own calls say INDEX_BEHIND, the others' answers are right, and to
take the server out of use would not mend it.
"""

import threading
from collections.abc import Callable

import structlog
from grpc_health.v1 import health_pb2

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING

CHECK_EVERY_S = 2.0
WITHOUT_STORE = frozenset(("", "ersgallery.v1.IdentificationService"))
"""The services that are of use while the store is away; the empty name stands for the server."""

log = structlog.get_logger(__name__)


class Readiness:
    """Follows the start, the store and the drain, and tells health of each change.

    tell: sets the status of a service by its name. ping: asks the store, raising whatever it raises.
    """

    def __init__(self, names: tuple[str, ...], tell: Callable[[str, int], None], ping: Callable[[], None]) -> None:
        self._names = ("", *names)
        self._tell = tell
        self._ping = ping
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.ready = False
        self.store_up = True
        self.start_s: float | None = None
        self._tell_all()

    def begin(self, start_s: float) -> None:
        """Say SERVING after a start of so many seconds, and watch the store from now on."""
        self.start_s = start_s
        with self._lock:
            self.ready = True
            self._tell_all()
        threading.Thread(target=self._run, name="readiness", daemon=True).start()

    def end(self) -> None:
        """Change nothing more: the drain has told health already."""
        with self._lock:
            self.ready = False
        self._stopped.set()  # the thread may wait for a store that does not answer: nobody waits for it

    def lose(self) -> None:
        """Say NOT_SERVING for good: what this server knows is no longer the truth."""
        self.end()
        with self._lock:
            self._tell_all()

    def _run(self) -> None:
        while not self._stopped.wait(CHECK_EVERY_S):
            self.check()

    def check(self) -> None:
        """Ask the store, and tell where that changed."""
        try:
            self._ping()
        except Exception as error:  # noqa: BLE001 - whatever it is, the store does not answer
            up, why = False, type(error).__name__
        else:
            up, why = True, ""
        with self._lock:
            if up == self.store_up or not self.ready:
                return
            self.store_up = up
            self._tell_all()
        if up:
            log.info("the store answers again")
        else:
            log.error("the store does not answer; identification goes on, the rest says NOT_SERVING", error=why)

    def _tell_all(self) -> None:
        for name in self._names:
            serving = self.ready and (self.store_up or name in WITHOUT_STORE)
            self._tell(name, SERVING if serving else NOT_SERVING)
