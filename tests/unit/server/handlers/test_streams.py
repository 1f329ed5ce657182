"""Streams of batches: in order, with those that come meanwhile begun ahead."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_server.errors import InvalidRequest, ShuttingDown
from ersgallery_server.handlers.streams import AHEAD, Begun, answer_ahead


def requests(count: int) -> Iterator[pb.StreamIdentifyRequest]:
    for number in range(count):
        yield pb.StreamIdentifyRequest(sequence=number, batch=pb.BatchIdentifyRequest(gallery=f"g{number}"))


def answer(batch: pb.BatchIdentifyRequest) -> pb.BatchIdentifyResponse:
    return pb.BatchIdentifyResponse(applied=pb.Applied(profile=batch.gallery))


def begin(batch: pb.BatchIdentifyRequest) -> Begun[pb.BatchIdentifyResponse]:
    return Begun(lambda: answer(batch))


def stream(
    source: Iterator[pb.StreamIdentifyRequest],
    begun: Callable[[pb.BatchIdentifyRequest], Begun[pb.BatchIdentifyResponse]] = begin,
) -> Iterator[pb.StreamIdentifyResponse]:
    return answer_ahead(source, begun, pb.StreamIdentifyResponse)


def test_every_batch_is_answered_in_its_turn() -> None:
    answers = list(stream(requests(3 * AHEAD)))
    assert [each.sequence for each in answers] == list(range(3 * AHEAD))
    assert [each.response.applied.profile for each in answers] == [f"g{n}" for n in range(3 * AHEAD)]


def test_batches_are_begun_while_an_earlier_one_is_under_way_and_not_without_limit() -> None:
    begun: list[str] = []
    work: dict[str, Future[None]] = {}
    enough = threading.Event()

    def remember(batch: pb.BatchIdentifyRequest) -> Begun[pb.BatchIdentifyResponse]:
        future = work[batch.gallery] = Future()
        begun.append(batch.gallery)
        if len(begun) == AHEAD + 2:
            enough.set()
        return Begun(lambda: future.result() or answer(batch), future)

    answers: list[int] = []
    reading = threading.Thread(target=lambda: answers.extend(each.sequence for each in stream(requests(30), remember)))
    reading.start()
    assert enough.wait(30)
    assert (answers, len(begun)) == ([], AHEAD + 2)
    for number in range(30):
        while f"g{number}" not in work:
            time.sleep(0.001)
        work[f"g{number}"].set_result(None)
    reading.join()
    assert answers == list(range(30))


def test_a_batch_that_is_refused_is_answered_in_its_turn_and_the_stream_goes_on() -> None:
    def refuse(batch: pb.BatchIdentifyRequest) -> Begun[pb.BatchIdentifyResponse]:
        if batch.gallery == "g1":
            raise InvalidRequest.field("gallery", "is odd")
        return Begun(lambda: answer(batch))

    assert [each.WhichOneof("outcome") for each in stream(requests(3), refuse)] == ["response", "error", "response"]


def test_what_ends_the_requests_ends_the_stream_after_the_answers_to_those_before() -> None:
    def ending() -> Iterator[pb.StreamIdentifyRequest]:
        yield from requests(2)
        raise ShuttingDown

    answers = stream(ending())
    assert [next(answers).sequence, next(answers).sequence] == [0, 1]
    with pytest.raises(ShuttingDown):
        next(answers)


def test_a_stream_that_is_given_up_drops_what_waits_and_begins_nothing_more() -> None:
    waiting: list[Future[None]] = []
    full = threading.Event()

    def wait(batch: pb.BatchIdentifyRequest) -> Begun[pb.BatchIdentifyResponse]:
        if batch.gallery == "g0":
            return Begun(lambda: answer(batch))
        waiting.append(Future())
        if len(waiting) == AHEAD + 1:
            full.set()
        return Begun(lambda: waiting[0].result() or answer(batch), waiting[-1])

    answers = stream(requests(40), wait)
    assert next(answers).sequence == 0
    assert full.wait(30)
    answers.close()  # type: ignore[attr-defined]  # a generator
    for thread in threading.enumerate():
        if thread.name == "rpc-reader":
            thread.join()
    assert len(waiting) in {AHEAD + 1, AHEAD + 2}
    assert all(future.cancelled() for future in waiting)
