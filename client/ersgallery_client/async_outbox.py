"""Back-pressure and repetition for a stream of the asyncio client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ersgallery_client.in_flight import InFlight


class AsyncOutbox:
    """Reads messages from a source as the window allows, and gives them to one connection after the other.

    A task of its own reads the source, because gRPC cancels the task that reads requests when a connection breaks, and
    a cancelled generator is at its end. What the source raises is kept until everything read before it is answered.
    """

    def __init__(self, messages: AsyncIterator[bytes], window: int) -> None:
        self._messages = messages
        self._in_flight = InFlight(window)
        self._changed = asyncio.Condition()
        self._exhausted = False
        self._failure: BaseException | None = None
        self._task = asyncio.create_task(self._pump())

    def connect(self) -> AsyncIterator[bytes]:
        """Return the requests of a new connection, the unanswered ones first."""
        return self._requests(self._in_flight.first)

    async def acknowledge(self, sequence: int) -> None:
        """Drop an answered message and make room for another; raises UnexpectedAnswer."""
        async with self._changed:
            self._in_flight.acknowledge(sequence)
            self._changed.notify_all()

    def is_done(self) -> bool:
        """Say whether the source has ended and everything is answered."""
        return self._exhausted and not self._in_flight

    def raise_failure(self) -> None:
        """Raise what the source raised, if anything."""
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Stop reading the source."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _requests(self, sequence: int) -> AsyncIterator[bytes]:
        while (message := await self._wait_for(sequence)) is not None:
            yield message
            sequence += 1

    async def _wait_for(self, sequence: int) -> bytes | None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._in_flight.holds(sequence) or self._exhausted)
            return self._in_flight[sequence] if self._in_flight.holds(sequence) else None

    async def _pump(self) -> None:
        try:
            while (message := await self._next_message()) is not None:
                async with self._changed:
                    self._in_flight.add(message)
                    self._changed.notify_all()
        except Exception as failure:  # noqa: BLE001 (raised again in the caller's task)
            self._failure = failure
        finally:
            self._exhausted = True
            async with self._changed:
                self._changed.notify_all()

    async def _next_message(self) -> bytes | None:
        async with self._changed:
            await self._changed.wait_for(self._in_flight.has_room)
        return await anext(self._messages, None)
