"""A client in a process of its own that enrols as fast as it is answered."""

import multiprocessing
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Any

import grpc
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1.enrollment_service_pb2_grpc import EnrollmentServiceStub

from tests.benchmarks.geometry import Crowd
from tests.benchmarks.served import CHUNK_FACES, requests

Message = enrollment.StreamEnrollFacesRequest


class Enroller:
    """A process with messages ready to be sent, a thousand new subjects each."""

    def __init__(self, pipe: "Connection", messages: int) -> None:
        self._pipe = pipe
        self.messages = messages

    def faces_per_s(self, messages: int) -> float:
        """Enrol so many messages and return how many faces a second. Raises RuntimeError for a failure."""
        self.start(messages)
        return self._answer()

    def start(self, messages: int = sys.maxsize) -> None:
        """Begin to enrol so many messages, or as many as there is time for."""
        self._pipe.send(messages)

    def stop(self) -> float:
        """Send no more and return how many faces a second were enrolled. Raises RuntimeError for a failure."""
        if self._pipe.poll():
            raise RuntimeError(f"the enrolment ended by itself: {self._pipe.recv()}")
        self._pipe.send(0)
        return self._answer()

    def _answer(self) -> float:
        answer: float | str = self._pipe.recv()
        if isinstance(answer, str):
            raise RuntimeError(answer)  # noqa: TRY004  (a client's failure, not a wrong type)
        return answer


@contextmanager
def enroller(address: str, crowd: Crowd, streams: int = 1) -> Iterator[Enroller]:
    """Start a client that enrols the people of a crowd over so many streams; whole messages only."""
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=_serve_enrolments, args=(far, address, crowd, streams), daemon=True)
    process.start()
    try:
        yield Enroller(near, near.recv())
    finally:
        process.kill()
        process.join()


def _serve_enrolments(pipe: Connection, address: str, crowd: Crowd, streams: int) -> None:
    # The client is not what is measured, so its messages are built before the clock runs.
    ready = [
        message
        for message in requests(crowd.blocks(), f"new-{crowd.seed}-")
        if len(message.batch.enrollments) == CHUNK_FACES
    ]
    pipe.send(len(ready))
    # When all are enrolled the same people come again, with one more face each.
    waiting = cycle(ready)
    while True:
        sending = _Sending(pipe, waiting, pipe.recv())
        try:
            begun = time.perf_counter()
            _enroll(address, sending, streams)
            pipe.send(sending.sent * CHUNK_FACES / (time.perf_counter() - begun))
        except Exception as failure:  # noqa: BLE001  (told to the process that waits for it)
            pipe.send(f"{type(failure).__name__}: {failure}")
        if sending.stopped:
            pipe.recv()


class _Sending:
    """Messages that several streams share, until there were enough or something arrives on the pipe."""

    def __init__(self, pipe: Connection, waiting: Iterator[Message], most: int) -> None:
        self._pipe = pipe
        self._waiting = waiting
        self._most = most
        self._lock = threading.Lock()
        self.sent = 0
        self.stopped = False

    def messages(self) -> Iterator[Message]:
        """Yield the next message that no stream has sent."""
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> Message | None:
        with self._lock:
            self.stopped = self.stopped or self._pipe.poll()
            if self.stopped or self.sent == self._most:
                return None
            self.sent += 1
            return next(self._waiting)


def _enroll(address: str, sending: _Sending, streams: int) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = EnrollmentServiceStub(channel)
        calls: list[Any] = [stub.StreamEnrollFaces(sending.messages()) for _ in range(streams)]
        for call in calls:
            for answer in call:
                if answer.WhichOneof("outcome") != "response":
                    raise RuntimeError(f"enrolment failed: {answer.error.message}")
