"""The two clients: the described calls on a blocking and on an asyncio transport, and the streams of each."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import aclosing
from typing import Protocol, TypeVar

from ersgallery_client.awaiting import AsyncTransport
from ersgallery_client.blocking import BlockingTransport
from ersgallery_client.calls.calibration import CalibrationCalls, waiting
from ersgallery_client.calls.enrollment import EnrollmentCalls, EnrollmentEncoder, enrollment_stream
from ersgallery_client.calls.faces import FaceCalls
from ersgallery_client.calls.galleries import GalleryCalls
from ersgallery_client.calls.hygiene import HygieneCalls
from ersgallery_client.calls.identification import (
    IdentificationCalls,
    ProbeBatch,
    ProbeEncoder,
    identification_stream,
)
from ersgallery_client.calls.recognizability import RecognizabilityCalls
from ersgallery_client.calls.subjects import SubjectCalls
from ersgallery_client.values.calibration import Operation
from ersgallery_client.values.enrollment import EnrollmentOutcome
from ersgallery_client.values.identification import IdentificationBatch
from ersgallery_client.values.inputs import Enrollment
from ersgallery_client.values.policies import SearchPolicy

ItemT_contra = TypeVar("ItemT_contra", contravariant=True)
T = TypeVar("T")

DEFAULT_WINDOW = 4
WAIT_S = 0.5
"""How long one call waits for an operation: progress is told so often."""

PAUSE_S = 0.05
"""Between two waits: a server where too many wait already answers at once."""


def _ignore(_operation: Operation) -> None:
    """Show no progress."""


class _AllCalls(
    GalleryCalls,
    SubjectCalls,
    FaceCalls,
    RecognizabilityCalls,
    EnrollmentCalls,
    IdentificationCalls,
    CalibrationCalls,
    HygieneCalls,
):
    """Every call that is not a stream."""


class GalleryClient(_AllCalls, BlockingTransport):
    """A client of an ersgallery server, for threads.

    with GalleryClient("127.0.0.1:50061") as client:
        answer = client.identify("staff", Path("door.jpg"))
        print(answer.decision, answer.match)
    """

    def enroll_stream(
        self,
        gallery: str,
        items: Iterable[Enrollment],
        *,
        request_id: str | None = None,
        batch_size: int | None = None,
        window: int = DEFAULT_WINDOW,
    ) -> Generator[EnrollmentOutcome, None, None]:
        """Enrol any number of items over one stream; give one outcome per item, in their order.

        Items are read, in a thread of their own, at most `window` unanswered batches ahead. Every batch has a
        request_id, so a broken connection is opened again and repeats harmlessly.
        request_id: what the batches' own begin with (at most 100 characters); the same one with the same items repeats
        a whole enrolment harmlessly. batch_size: None for as many as a message takes.
        Raises, at the first batch refused as a whole, as enroll; and what `items` raises, after what was read before
        it is enrolled.
        """
        encoder = EnrollmentEncoder(gallery, self.options.limits, batch_size, request_id)
        for batch in self.answers(enrollment_stream(window), _messages(encoder, items)):
            yield from batch.outcomes

    def identify_stream(
        self,
        gallery: str,
        batches: Iterable[ProbeBatch],
        *,
        policy: SearchPolicy | None = None,
        window: int = DEFAULT_WINDOW,
    ) -> Generator[IdentificationBatch, None, None]:
        """Identify batches as they come; give one answer per batch, in their order.

        A batch is a matrix of at most 4,096 embeddings or a sequence of at most 256 probes. They are read, in a thread
        of their own, at most `window` unanswered ones ahead. Raises as identify, at the first batch that is refused as
        a whole; and what `batches` raises, after what was read before it is answered.
        """
        encoder = ProbeEncoder(gallery, self.options.limits, policy)
        yield from self.answers(identification_stream(window), _messages(encoder, batches))

    def wait_operation(self, operation: str, *, progress: Callable[[Operation], None] = _ignore) -> Operation:
        """Wait until an operation has ended and return it, with its result or its error.

        progress: gets the operation every half second, and at the end; what it raises ends the wait, not the operation.
        Raises OperationNotFound, also when it is deleted meanwhile.
        """
        while True:
            found = self.run(waiting(operation, WAIT_S))
            progress(found)
            if found.ended:
                return found
            time.sleep(PAUSE_S)


class AsyncGalleryClient(_AllCalls, AsyncTransport):
    """A client of an ersgallery server, for asyncio; photographs given as a Path are read in the event loop.

    async with AsyncGalleryClient("127.0.0.1:50061") as client:
        answer = await client.identify("staff", Path("door.jpg"))
        print(answer.decision, answer.match)
    """

    async def enroll_stream(
        self,
        gallery: str,
        items: Iterable[Enrollment] | AsyncIterable[Enrollment],
        *,
        request_id: str | None = None,
        batch_size: int | None = None,
        window: int = DEFAULT_WINDOW,
    ) -> AsyncGenerator[EnrollmentOutcome, None]:
        """Enrol any number of items over one stream, as GalleryClient.enroll_stream does.

        An ordinary iterable is iterated in the event loop: give an asynchronous one where its items take time.
        """
        encoder = EnrollmentEncoder(gallery, self.options.limits, batch_size, request_id)
        messages = _async_messages(encoder, items)
        async with aclosing(self.answers(enrollment_stream(window), messages)) as batches:
            async for batch in batches:
                for outcome in batch.outcomes:
                    yield outcome

    async def identify_stream(
        self,
        gallery: str,
        batches: Iterable[ProbeBatch] | AsyncIterable[ProbeBatch],
        *,
        policy: SearchPolicy | None = None,
        window: int = DEFAULT_WINDOW,
    ) -> AsyncGenerator[IdentificationBatch, None]:
        """Identify batches as they come, as GalleryClient.identify_stream does."""
        encoder = ProbeEncoder(gallery, self.options.limits, policy)
        messages = _async_messages(encoder, batches)
        async with aclosing(self.answers(identification_stream(window), messages)) as answers:
            async for answer in answers:
                yield answer

    async def wait_operation(self, operation: str, *, progress: Callable[[Operation], None] = _ignore) -> Operation:
        """Wait until an operation has ended and return it, as GalleryClient.wait_operation does."""
        while True:
            found = await self.run(waiting(operation, WAIT_S))
            progress(found)
            if found.ended:
                return found
            await asyncio.sleep(PAUSE_S)


class _Encoder(Protocol[ItemT_contra]):
    """Gathers items into messages."""

    def add(self, item: ItemT_contra, /) -> bytes | None: ...

    def rest(self) -> bytes | None: ...


def _messages(encoder: _Encoder[T], items: Iterable[T]) -> Iterator[bytes]:
    for item in items:
        if (message := encoder.add(item)) is not None:
            yield message
    if (message := encoder.rest()) is not None:
        yield message


async def _async_messages(encoder: _Encoder[T], items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[bytes]:
    async for item in _each(items):
        if (message := encoder.add(item)) is not None:
            yield message
    if (message := encoder.rest()) is not None:
        yield message


async def _each(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
