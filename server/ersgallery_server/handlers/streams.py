"""What the streams of batches share."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from ersgallery_server.status import to_status

M_co = TypeVar("M_co", bound=Message, covariant=True)

AHEAD = 8
"""Batches of a stream that wait for their answers or to be answered, beside the ones that are begun and sent."""


@dataclass(frozen=True, slots=True, eq=False)
class Begun(Generic[M_co]):
    """A batch whose work waits or runs elsewhere: finish returns its answer; work, if any, can be dropped."""

    finish: Callable[[], M_co]
    work: "Future[Any] | None" = None

    def drop(self) -> None:
        """Drop work that has not begun."""
        if self.work is not None:
            self.work.cancel()


def answer_ahead(
    requests: Iterable[Any],
    begin: Callable[[Any], Begun[Message]],
    response_type: Callable[..., Message],
    ahead: int = AHEAD,
) -> Iterator[Any]:
    """Answer the batch of each request with its sequence; a batch that is refused does not end the stream.

    Meanwhile a thread of its own begins up to `ahead` batches that have come.
    """
    reader = _Reader(requests, begin, ahead)
    reader.start()
    try:
        while (item := reader.begun.get()) is not None:
            if isinstance(item, Exception):
                raise item
            sequence, batch = item
            yield _answer(sequence, batch.finish, response_type)
    finally:
        reader.stop()


class _Reader(threading.Thread):
    """Puts into `begun` what it reads and begins; then None, or what the requests raised."""

    def __init__(self, requests: Iterable[Any], begin: Callable[[Any], Begun[Message]], ahead: int) -> None:
        super().__init__(name="rpc-reader", daemon=True)
        self.begun: Queue[tuple[int, Begun[Message]] | Exception | None] = Queue(ahead)
        self._requests = requests
        self._begin = begin
        self._stopped = threading.Event()

    def run(self) -> None:
        """Read until there is nothing more, or until stopped."""
        end = None
        try:
            for request in self._requests:
                batch = self._begun(request.batch)
                self.begun.put((request.sequence, batch))
                if self._stopped.is_set():
                    batch.drop()
                    return
        except Exception as error:  # noqa: BLE001 - raised where the answers are made
            end = error
        self.begun.put(end)

    def stop(self) -> None:
        """Begin nothing more and drop what nobody will finish; a reader that waits for a request ends with its call."""
        self._stopped.set()
        while True:
            try:
                item = self.begun.get_nowait()
            except Empty:
                return
            if isinstance(item, tuple):
                item[1].drop()

    def _begun(self, batch: Any) -> Begun[Message]:
        try:
            return self._begin(batch)
        except Exception as error:  # noqa: BLE001 - the batch's own answer; the stream goes on
            return Begun(_raising(error))


def _raising(error: Exception) -> Callable[[], Message]:
    def finish() -> Message:
        raise error

    return finish


def _answer(sequence: int, finish: Callable[[], Message], response_type: Callable[..., Message]) -> Message:
    try:
        response = finish()
    except Exception as error:  # noqa: BLE001 - the batch's own answer; the stream goes on
        return response_type(sequence=sequence, error=to_status(error))
    return response_type(sequence=sequence, response=response)
