import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from ersgallery.v1 import enrollment_service_pb2 as enrollment_pb
from ersgallery.v1 import identification_service_pb2 as identification_pb
from ersgallery_client import AsyncGalleryClient, Enrollment, GalleryClient, errors

from tests.support.wire_server import WireServer, fail, fail_at_the_end, status

FACE = np.array([1.0, 2.0], np.float32)


def items(count: int) -> Iterator[Enrollment]:
    return (Enrollment(f"subject-{i}", FACE) for i in range(count))


def accept(message: enrollment_pb.StreamEnrollFacesRequest) -> enrollment_pb.StreamEnrollFacesResponse:
    """Accept every item of a batch, echoing its subject."""
    outcomes = [
        enrollment_pb.EnrollmentOutcome(
            result=enrollment_pb.EnrollmentResult(
                disposition=enrollment_pb.DISPOSITION_ACCEPTED, subject=f"galleries/g/subjects/{item.subject_id}"
            )
        )
        for item in message.batch.enrollments
    ]
    return enrollment_pb.StreamEnrollFacesResponse(
        sequence=message.sequence, response=enrollment_pb.EnrollFacesResponse(outcomes=outcomes)
    )


def accept_all(requests: Iterable[Any], _: grpc.ServicerContext) -> Iterator[Any]:
    return map(accept, requests)


def enrolled(client: GalleryClient, source: Iterable[Enrollment], **options: Any) -> list[str]:
    return [outcome.subject_id for outcome in client.enroll_stream("g", source, **options)]


def subjects(count: int) -> list[str]:
    return [f"subject-{i}" for i in range(count)]


class Recorder:
    """Accepts everything, remembers the batches, and breaks once before it answers a given sequence."""

    def __init__(self, break_before: int, failure: Any) -> None:
        self.connections: list[list[enrollment_pb.StreamEnrollFacesRequest]] = []
        self._break_before = break_before
        self._failure = failure

    def __call__(self, requests: Iterable[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        seen: list[enrollment_pb.StreamEnrollFacesRequest] = []
        self.connections.append(seen)
        for request in requests:
            seen.append(request)
            if len(self.connections) == 1 and request.sequence == self._break_before:
                yield from self._failure(request, context)
                return
            yield accept(request)


def test_outcomes_come_one_per_item_in_the_order_of_the_items(client: GalleryClient, wire: WireServer) -> None:
    wire.on("StreamEnrollFaces", accept_all)
    assert enrolled(client, items(25), batch_size=4) == subjects(25)


def test_an_empty_source_makes_no_batch(client: GalleryClient, wire: WireServer) -> None:
    wire.on("StreamEnrollFaces", accept_all)
    assert enrolled(client, items(0)) == []


def test_every_batch_has_its_own_request_id_under_the_given_prefix(client: GalleryClient, wire: WireServer) -> None:
    recorder = Recorder(-1, None)
    wire.on("StreamEnrollFaces", recorder)
    enrolled(client, items(5), batch_size=2, request_id="import-7")
    assert [message.batch.request_id for message in recorder.connections[0]] == [f"import-7-{i}" for i in range(3)]


def test_request_ids_differ_between_streams_unless_a_prefix_is_given(client: GalleryClient, wire: WireServer) -> None:
    recorder = Recorder(-1, None)
    wire.on("StreamEnrollFaces", recorder)
    enrolled(client, items(1))
    enrolled(client, items(1))
    first, second = (connection[0].batch.request_id for connection in recorder.connections)
    assert first
    assert first != second


@pytest.mark.parametrize(
    "failure",
    [
        lambda _, context: fail(context, status(grpc.StatusCode.UNAVAILABLE)),
        lambda _, context: fail(context, status(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")),
        lambda request, _: [
            enrollment_pb.StreamEnrollFacesResponse(
                sequence=request.sequence, error=status(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
            )
        ],
        lambda _request, _context: [],
    ],
    ids=["broken connection", "draining server", "overload of one batch", "early end"],
)
def test_a_broken_stream_sends_what_was_not_answered_again_with_the_same_request_ids(
    client: GalleryClient, wire: WireServer, failure: Any
) -> None:
    recorder = Recorder(3, failure)
    wire.on("StreamEnrollFaces", recorder)
    assert enrolled(client, items(20), batch_size=2, window=3) == subjects(20)
    first, second = recorder.connections
    assert [message.sequence for message in second] == list(range(3, 10))
    ids = {message.sequence: message.batch.request_id for message in first}
    again = {message.sequence: message.batch.request_id for message in second}
    assert all(ids[sequence] == again[sequence] for sequence in ids.keys() & again.keys())


def test_a_stream_gives_up_when_the_server_stays_away(client: GalleryClient, wire: WireServer) -> None:
    opened: list[int] = []

    def refuse(requests: Iterable[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        opened.append(1)
        return fail_at_the_end(requests, context, status(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"))

    wire.on("StreamEnrollFaces", refuse)
    with pytest.raises(errors.StoreUnavailable):
        enrolled(client, items(3))
    assert len(opened) == 4


def test_a_batch_refused_as_a_whole_raises_after_the_outcomes_before_it(
    client: GalleryClient, wire: WireServer
) -> None:
    refusal = status(grpc.StatusCode.NOT_FOUND, "GALLERY_NOT_FOUND")
    wire.on(
        "StreamEnrollFaces",
        Recorder(
            1, lambda request, _: [enrollment_pb.StreamEnrollFacesResponse(sequence=request.sequence, error=refusal)]
        ),
    )
    stream = client.enroll_stream("g", items(6), batch_size=2)
    assert [next(stream).subject_id for _ in range(2)] == subjects(2)
    with pytest.raises(errors.GalleryNotFound):
        next(stream)


def test_no_more_than_a_window_of_unanswered_batches_is_read_from_the_source(
    client: GalleryClient, wire: WireServer
) -> None:
    read: list[int] = []
    window_received = threading.Event()
    release = threading.Event()

    def source() -> Iterator[Enrollment]:
        for i, item in enumerate(items(40)):
            read.append(i)
            yield item

    def hold(requests: Iterable[Any], _: grpc.ServicerContext) -> Iterator[Any]:
        for count, request in enumerate(requests, 1):
            held.append(request)
            if count == 3:
                window_received.set()
                release.wait(10)
                break
        yield from map(accept, held)
        yield from map(accept, requests)

    held: list[Any] = []
    wire.on("StreamEnrollFaces", hold)
    result: list[str] = []
    thread = threading.Thread(target=lambda: result.extend(enrolled(client, source(), batch_size=2, window=3)))
    thread.start()
    assert window_received.wait(10)
    # A batch ends when the first item of the next one is read.
    assert len(read) <= 3 * 2 + 1
    release.set()
    thread.join(10)
    assert result == subjects(40)


def test_what_the_source_raises_is_raised_after_the_items_before_it_are_enrolled(
    client: GalleryClient, wire: WireServer
) -> None:
    class SourceFailed(Exception):
        pass

    def source() -> Iterator[Enrollment]:
        yield from items(5)
        raise SourceFailed

    wire.on("StreamEnrollFaces", accept_all)
    stream = client.enroll_stream("g", source(), batch_size=1)
    assert [next(stream).subject_id for _ in range(4)] == subjects(4)
    with pytest.raises(SourceFailed):
        list(stream)


def test_an_item_that_cannot_be_sent_raises_its_own_error(client: GalleryClient, wire: WireServer) -> None:
    wire.on("StreamEnrollFaces", accept_all)
    with pytest.raises(errors.InvalidEmbedding):
        enrolled(client, [Enrollment("ada", np.zeros((2, 2)))])


def test_a_stream_that_is_left_early_stops_reading_its_source(client: GalleryClient, wire: WireServer) -> None:
    ended = threading.Event()

    def endless() -> Generator[Enrollment, None, None]:
        try:
            while True:
                yield Enrollment("ada", FACE)
        finally:
            ended.set()

    wire.on("StreamEnrollFaces", accept_all)
    source = endless()
    stream = client.enroll_stream("g", source, batch_size=1)
    next(stream)
    stream.close()
    for thread in threading.enumerate():
        if thread.name == "ersgallery-outbox":
            thread.join(10)
            assert not thread.is_alive()
    source.close()  # raises where somebody still reads it
    assert ended.is_set()


def test_an_answer_to_another_message_than_the_oldest_is_refused(client: GalleryClient, wire: WireServer) -> None:
    def wrong(requests: Iterable[Any], _: grpc.ServicerContext) -> Iterator[Any]:
        for request in requests:
            response = accept(request)
            response.sequence += 1
            yield response

    wire.on("StreamEnrollFaces", wrong)
    with pytest.raises(errors.UnexpectedAnswer):
        enrolled(client, items(1))


def test_a_window_of_nothing_is_refused(client: GalleryClient) -> None:
    with pytest.raises(ValueError, match="window"):
        enrolled(client, items(1), window=0)


def no_match(requests: Iterable[Any], _: grpc.ServicerContext) -> Iterator[Any]:
    for request in requests:
        columns = identification_pb.IdentificationColumns(
            decisions=[identification_pb.DECISION_NO_MATCH] * request.batch.matrix.rows
        )
        yield identification_pb.StreamIdentifyResponse(
            sequence=request.sequence, response=identification_pb.BatchIdentifyResponse(columns=columns)
        )


def test_identify_stream_gives_an_answer_per_batch(client: GalleryClient, wire: WireServer) -> None:
    wire.on("StreamIdentify", no_match)
    batches = [np.zeros((n, 2), np.float32) for n in (3, 1, 2)]
    assert [len(batch) for batch in client.identify_stream("g", batches)] == [3, 1, 2]


def test_a_live_source_gets_each_answer_before_it_gives_the_next_batch(wire: WireServer) -> None:
    answered = threading.Semaphore(1)

    def live() -> Iterator[np.ndarray[Any, Any]]:
        for i in range(5):
            assert answered.acquire(timeout=10)
            yield np.zeros((i + 1, 2), np.float32)

    wire.on("StreamIdentify", no_match)
    sizes = []
    with GalleryClient(wire.address) as client:
        for batch in client.identify_stream("g", live()):
            sizes.append(len(batch))
            answered.release()
    assert sizes == [1, 2, 3, 4, 5]


async def live_with_asyncio(address: str) -> list[int]:
    answered = asyncio.Semaphore(1)

    async def live() -> AsyncIterator[np.ndarray[Any, Any]]:
        for i in range(5):
            await asyncio.wait_for(answered.acquire(), 10)
            yield np.zeros((i + 1, 2), np.float32)

    sizes = []
    async with AsyncGalleryClient(address) as client:
        async for batch in client.identify_stream("g", live()):
            sizes.append(len(batch))
            answered.release()
    return sizes


def test_an_asynchronous_live_source_gets_each_answer_before_it_gives_the_next_batch(wire: WireServer) -> None:
    wire.on("StreamIdentify", no_match)
    assert asyncio.run(live_with_asyncio(wire.address)) == [1, 2, 3, 4, 5]
