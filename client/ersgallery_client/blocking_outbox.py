"""Back-pressure and repetition for a stream of the blocking client."""

import threading
from collections.abc import Iterator

from ersgallery_client.in_flight import InFlight


class Outbox:
    """Reads messages from a source as the window allows, and gives them to one connection after the other.

    A thread of its own reads the source, because gRPC reads requests in a thread that ends with the connection. What
    the source raises is kept until everything read before it is answered.
    """

    def __init__(self, messages: Iterator[bytes], window: int) -> None:
        self._messages = messages
        self._in_flight = InFlight(window)
        self._changed = threading.Condition()
        self._connection = 0
        self._exhausted = False
        self._closed = False
        self._failure: BaseException | None = None
        threading.Thread(target=self._pump, name="ersgallery-outbox", daemon=True).start()

    def connect(self) -> Iterator[bytes]:
        """Return the requests of a new connection, the unanswered ones first; the connection before gets no more."""
        with self._changed:
            self._connection += 1
            self._changed.notify_all()
            return self._requests(self._connection, self._in_flight.first)

    def acknowledge(self, sequence: int) -> None:
        """Drop an answered message and make room for another; raises UnexpectedAnswer."""
        with self._changed:
            self._in_flight.acknowledge(sequence)
            self._changed.notify_all()

    def is_done(self) -> bool:
        """Say whether the source has ended and everything is answered."""
        with self._changed:
            return self._exhausted and not self._in_flight

    def raise_failure(self) -> None:
        """Raise what the source raised, if anything."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Stop reading the source."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _requests(self, connection: int, sequence: int) -> Iterator[bytes]:
        while (message := self._wait_for(connection, sequence)) is not None:
            yield message
            sequence += 1

    def _wait_for(self, connection: int, sequence: int) -> bytes | None:
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._closed or self._connection != connection or self._in_flight.holds(sequence) or self._exhausted
                )
            )
            if self._closed or self._connection != connection or not self._in_flight.holds(sequence):
                return None
            return self._in_flight[sequence]

    def _pump(self) -> None:
        try:
            while self._wait_for_room() and (message := next(self._messages, None)) is not None:
                with self._changed:
                    self._in_flight.add(message)
                    self._changed.notify_all()
        except BaseException as failure:  # noqa: BLE001 (raised again in the caller's thread)
            self._failure = failure
        finally:
            with self._changed:
                self._exhausted = True
                self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._in_flight.has_room())
            return not self._closed
