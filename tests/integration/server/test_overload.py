"""More calls than can be served, and callers who keep a thread: the rest is refused, and nobody else suffers."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_server.gallery.search_figures import CANCELLED, EXPIRED

from tests.support.held import Held
from tests.support.requests import DIMENSION, axis, create_gallery, enroll, found, identify, item, matrix, probe
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import refused
from tests.support.waiting import until

G = "galleries/g"
EXHAUSTED, GONE = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED


def test_what_would_wait_longer_than_it_may_is_refused_at_once_with_the_time_to_come_again(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, unary_threads=1, max_streams=1, max_wait_s=0.1)) as server:
        create_gallery(server, "g")
        activity = server.service._server.activity
        with Held(server.service._store.submit):
            create = server.galleries.CreateSubject
            request = galleries.CreateSubjectRequest(parent=G, subject_id="ann")
            calls = [create.future(request) for _ in range(2)]
            until(lambda: activity.under_way == 2)
            calls.append(create.future(request))
            until(lambda: activity.expected_wait_s > 0.1)
            with refused() as refusal:
                create(request)
            assert (refusal.code, refusal.reason) == (EXHAUSTED, "OVERLOADED")
            assert "may wait 0.1 s" in refusal.message
            assert refusal.retry_after_s is not None
            assert 0.1 <= refusal.retry_after_s <= 10.0
        assert sum(call.exception() is None for call in calls) == 1, "what was accepted is served"
        until(lambda: activity.waiting == 0)
        assert found(identify(server, "g", axis(1))) == []


def test_work_whose_caller_is_gone_or_late_never_reaches_the_index(tmp_path: Path) -> None:
    with running_server(settings(tmp_path)) as server:
        create_gallery(server, "g")
        actor = server.service._galleries.get("g")._actor
        request = pb.IdentifyRequest(gallery=G, probe=probe(axis(1)))
        with Held(actor.ask):
            late = [server.identification.Identify.future(request, timeout=1.0) for _ in range(10)]
            gone = [server.identification.Identify.future(request) for _ in range(10)]
            wanted = [server.identification.Identify.future(request) for _ in range(5)]
            until(lambda: len(actor._queue) == 25)
            for call in gone:
                call.cancel()
            assert {call.code() for call in late} == {grpc.StatusCode.DEADLINE_EXCEEDED}
            until(lambda: sum(job.answer.cancelled() for job in actor._queue._jobs) == 20)
        for call in wanted:
            call.result()
        searched = sum(actor.figures.decisions.read().values())
        dropped = actor.figures.dropped.read()
        assert searched == len(wanted), "each probe that was searched is counted, and nothing else"
        assert dropped.get(CANCELLED, 0) + dropped.get(EXPIRED, 0) == len(late) + len(gone)


def unfinished(server: RunningServer, end: threading.Event) -> Any:
    """Begin a unary call whose message does not come."""

    def nothing() -> Iterator[bytes]:
        end.wait()
        yield from ()

    begin: Any = server.channel.stream_unary("/ersgallery.v1.GalleryService/ListGalleries")
    return begin.future(nothing())


def test_messages_that_do_not_come_keep_no_thread_from_others(tmp_path: Path) -> None:
    end = threading.Event()
    with running_server(settings(tmp_path, unary_threads=1, max_streams=1)) as server:
        create_gallery(server, "g")
        activity = server.service._server.activity
        slow = [unfinished(server, end) for _ in range(2)]
        until(lambda: activity.under_way == 2 and activity.waiting == 0)
        assert found(identify(server, "g", axis(1))) == [], "answered, though every thread was waiting for a message"
        assert {call.code() for call in slow} >= {GONE}
        end.set()


def test_a_call_without_a_message_is_told_so(tmp_path: Path) -> None:
    with running_server(settings(tmp_path)) as server, refused() as refusal:
        server.channel.stream_unary("/ersgallery.v1.GalleryService/ListGalleries")(iter([]))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["request"])


def unread(server: RunningServer, answers: int) -> Any:
    """Open a stream that asks for so many large answers and reads none."""
    rows = np.tile(axis(1), (1000, 1))
    batch = pb.BatchIdentifyRequest(gallery=G, matrix=matrix(rows), policy=pb.SearchPolicy(max_candidates=100))
    requests = (pb.StreamIdentifyRequest(sequence=n, batch=batch) for n in range(answers))
    return server.identification.StreamIdentify(requests)


def idle(server: RunningServer) -> Any:
    """Open a stream, have one answer, and ask for nothing more."""

    def requests() -> Iterator[pb.StreamIdentifyRequest]:
        batch = pb.BatchIdentifyRequest(gallery=G, matrix=matrix([axis(1)]))
        yield pb.StreamIdentifyRequest(sequence=1, batch=batch)
        threading.Event().wait(300)

    stream = server.identification.StreamIdentify(requests())
    next(stream)
    return stream


def once(server: RunningServer) -> bool:
    """Say whether a stream of one batch is served now."""
    batch = pb.BatchIdentifyRequest(gallery=G, matrix=matrix(np.zeros((1, DIMENSION)) + axis(1)))
    stream = server.identification.StreamIdentify(iter([pb.StreamIdentifyRequest(batch=batch)]))
    try:
        return len(list(stream)) == 1
    except grpc.RpcError:
        time.sleep(0.1)
        return stream.code() is not EXHAUSTED


def check_streams_give_way(folder: Path, opening: Callable[[RunningServer], Any]) -> None:
    with running_server(settings(folder, max_streams=2, stream_idle_s=0.3)) as server:
        create_gallery(server, "g")
        enroll(server, "g", *(item(f"subject-{n}", axis(1)) for n in range(100)))
        streams = [opening(server) for _ in range(2)]
        activity = server.service._server.activity
        until(lambda: len([each for each in activity.streams if each.idle_s(time.monotonic()) > 1.0]) == 2)
        assert all(stream.is_active() for stream in streams), "nobody else wants their places"
        held = activity.streams
        until(lambda: once(server))
        until(lambda: not set(held) & set(activity.streams))
        for stream in streams:
            stream.cancel()


def test_streams_that_ask_for_nothing_give_way_to_others(tmp_path: Path) -> None:
    check_streams_give_way(tmp_path, idle)


def test_streams_that_do_not_read_give_way_to_others(tmp_path: Path) -> None:
    check_streams_give_way(tmp_path, lambda server: unread(server, answers=50))
