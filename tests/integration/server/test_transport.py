"""What gRPC itself must keep: streams starve nobody, health and reflection answer, deadlines and limits hold."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_server.service import Service
from google.protobuf.field_mask_pb2 import FieldMask
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from structlog.testing import capture_logs

from tests.support.held import Held
from tests.support.requests import axis, create_gallery, enroll, found, identify, item, matrix, probe
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import read, refused

MakeGallery = Callable[..., str]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health_watch(channel: grpc.Channel) -> Callable[[health_pb2.HealthCheckRequest], Any]:
    """Return the method Watch, which the stubs' types do not know."""
    return health_pb2_grpc.HealthStub(channel).Watch  # type: ignore[attr-defined, no-any-return]


def test_open_streams_and_health_watches_starve_no_unary_call(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, unary_threads=1, max_streams=2)) as server:
        create_gallery(server, "g")
        end = threading.Event()

        def endless() -> Iterator[pb.StreamIdentifyRequest]:
            batch = pb.BatchIdentifyRequest(gallery="galleries/g", matrix=matrix([axis(1)]))
            yield pb.StreamIdentifyRequest(sequence=1, batch=batch)
            end.wait()

        streams = [server.identification.StreamIdentify(endless()) for _ in range(2)]
        assert [next(stream).sequence for stream in streams] == [1, 1]
        watches = [health_watch(server.channel)(health_pb2.HealthCheckRequest()) for _ in range(8)]
        assert all(next(watch).status == SERVING for watch in watches)
        with refused() as refusal:
            next(server.identification.StreamIdentify(endless()))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
        assert refusal.retry_after_s == 1.0
        assert found(identify(server, "g", axis(1))) == []
        end.set()
        assert [len(list(stream)) for stream in streams] == [0, 0]
        for watch in watches:
            watch.cancel()


def test_health_says_not_serving_when_the_server_drains(tmp_path: Path) -> None:
    with Service(settings(tmp_path)) as service:
        channel = grpc.insecure_channel(service.address)
        watch = health_watch(channel)(health_pb2.HealthCheckRequest(service="ersgallery.v1.GalleryService"))
        assert next(watch).status == SERVING
        seen: list[int] = []
        reader = threading.Thread(target=lambda: seen.extend(_statuses(watch)))
        reader.start()
    reader.join()
    channel.close()
    assert seen == [NOT_SERVING]


def test_watches_that_end_while_the_server_drains_do_not_stop_it(tmp_path: Path) -> None:
    for turn in range(8):
        with Service(settings(tmp_path / str(turn))) as service:
            channel = grpc.insecure_channel(service.address)
            watches = [health_watch(channel)(health_pb2.HealthCheckRequest()) for _ in range(40)]
            assert all(next(watch).status == SERVING for watch in watches)
            ending = threading.Thread(target=lambda ended=watches: [watch.cancel() for watch in ended])
            ending.start()
        ending.join()
        channel.close()


def _statuses(watch: Iterator[health_pb2.HealthCheckResponse]) -> Iterator[int]:
    try:
        for response in watch:
            yield response.status
    except grpc.RpcError:
        return


def test_reflection_lists_the_services(server: RunningServer) -> None:
    services = ProtoReflectionDescriptorDatabase(server.channel).get_services()
    assert {
        "ersgallery.v1.GalleryService",
        "ersgallery.v1.EnrollmentService",
        "ersgallery.v1.IdentificationService",
        "ersgallery.v1.RecognizabilityService",
        "ersgallery.v1.CalibrationService",
        "grpc.health.v1.Health",
    } <= set(services)


def test_a_call_whose_deadline_has_passed_is_not_searched(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    request = pb.BatchIdentifyRequest(gallery=f"galleries/{gallery}", matrix=matrix([axis(1)] * 4096))
    with pytest.raises(grpc.RpcError) as caught:
        server.identification.BatchIdentify(request, timeout=1e-6)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_many_threads_read_their_own_writes(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = new_gallery()
    wrong: list[str] = []

    def work(number: int) -> None:
        for turn in range(5):
            name = f"s{number}-{turn}"
            vector = axis(1 + number, (15, 0.01 * turn))
            enroll(server, gallery, item(name, vector))
            if name not in found(identify(server, gallery, vector)):
                wrong.append(name)
            server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name=f"galleries/{gallery}/subjects/{name}"))
            if name in found(identify(server, gallery, vector, max_candidates=1000)):
                wrong.append(f"{name} after its deletion")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def subject(gallery: str, subject_id: str) -> galleries.CreateSubjectRequest:
    return galleries.CreateSubjectRequest(parent=f"galleries/{gallery}", subject_id=subject_id)


def wait_until(holds: Callable[[], bool]) -> None:
    patience = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < patience
        time.sleep(0.002)


def test_open_reflection_streams_starve_nobody_either(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, unary_threads=1, max_streams=2)) as server:
        create_gallery(server, "g")
        end = threading.Event()

        def ask() -> Iterator[reflection_pb2.ServerReflectionRequest]:
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            end.wait()

        stub: Any = reflection_pb2_grpc.ServerReflectionStub(server.channel)
        streams = [stub.ServerReflectionInfo(ask()) for _ in range(2)]
        assert all(next(stream).list_services_response.service for stream in streams)
        with refused() as refusal:
            next(stub.ServerReflectionInfo(ask()))
        assert refusal.reason == "TOO_MANY_STREAMS"
        assert found(identify(server, "g", axis(1))) == []
        end.set()


def test_calls_beyond_those_that_may_wait_are_refused_and_health_answers_meanwhile(tmp_path: Path) -> None:
    with running_server(
        settings(tmp_path, unary_threads=1, max_streams=1, max_waiting_calls=3, max_wait_s=60.0)
    ) as server:
        create_gallery(server, "g")
        with Held(server.service._store.submit):
            create = server.galleries.CreateSubject
            calls = [create.future(subject("g", f"s{n}")) for n in range(2)]
            wait_until(lambda: len(server.service._store._writer._waiting) == 2)  # both threads are busy
            calls += [create.future(subject("g", f"s{n}")) for n in range(2, 5)]
            wait_until(lambda: server.service._server._activity.waiting == 3)
            with refused() as refusal:
                create(subject("g", "one-too-many"))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
            assert refusal.retry_after_s == 0.5
            assert "3 waiting" in refusal.message
            with refused() as refusal:
                list(server.identification.StreamIdentify(iter([])))
            assert refusal.reason == "OVERLOADED"
            health: Any = health_pb2_grpc.HealthStub(server.channel)
            assert health.Check(health_pb2.HealthCheckRequest()).status == SERVING
        assert {call.result().subject.name[-2:] for call in calls} == {f"s{n}" for n in range(5)}


def test_streams_that_are_cancelled_give_back_their_places_and_are_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running_server(settings(tmp_path, max_streams=2)) as server, capture_logs() as logs:
        create_gallery(server, "g")
        batch = pb.BatchIdentifyRequest(gallery="galleries/g", matrix=matrix([axis(1)]))
        end = threading.Event()

        def requests() -> Iterator[pb.StreamIdentifyRequest]:
            yield pb.StreamIdentifyRequest(sequence=1, batch=batch)
            end.wait()

        for _ in range(6):
            stream = server.identification.StreamIdentify(requests())
            next(stream)
            stream.cancel()
            wait_until(lambda: server.service._server._activity.wait_idle(0))
            wait_until(lambda: _free_places(server) == 2)
        end.set()
    assert not [entry for entry in logs if entry["log_level"] in {"error", "critical"}]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def _free_places(server: RunningServer) -> int:
    return server.service._server._methods._streams._value


def test_an_answer_that_is_too_large_says_so_and_the_stream_goes_on(tmp_path: Path) -> None:
    limit = 64 * 1024
    with running_server(settings(tmp_path, max_message_bytes=limit)) as server:
        create_gallery(server, "g")
        enroll(server, "g", *(item(f"subject-{n}", axis(1 + n % 15)) for n in range(200)))
        policy = pb.SearchPolicy(max_candidates=200)
        large = pb.BatchIdentifyRequest(gallery="galleries/g", matrix=matrix([axis(1)] * 100), policy=policy)
        small = pb.BatchIdentifyRequest(gallery="galleries/g", matrix=matrix([axis(1)]), policy=policy)
        with refused() as refusal:
            server.identification.BatchIdentify(large)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BATCH_TOO_LARGE")
        assert f"the limit is {limit}" in refusal.message
        requests = [pb.StreamIdentifyRequest(sequence=n, batch=batch) for n, batch in ((4, large), (5, small))]
        answers = list(server.identification.StreamIdentify(iter(requests)))
        assert [answer.sequence for answer in answers] == [4, 5]
        assert read(answers[0].error).reason == "BATCH_TOO_LARGE"
        assert answers[1].response.columns.candidates.counts == [200]
        with pytest.raises(grpc.RpcError) as caught:
            server.identification.BatchIdentify(
                pb.BatchIdentifyRequest(gallery="galleries/g", matrix=matrix([axis(1)] * 2000))
            )
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_longest_error_fits_into_the_trailers(server: RunningServer, new_gallery: MakeGallery) -> None:
    gallery = gallery_pb2.Gallery(name=f"galleries/{new_gallery()}")
    for character in ("x", "\U0001f600", "\u00e9"):
        mask = FieldMask(paths=[f"{number}{character * 500}" for number in range(50)])
        with refused() as refusal:
            server.galleries.UpdateGallery(galleries.UpdateGalleryRequest(gallery=gallery, update_mask=mask))
        assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", ["update_mask"] * 10)


def test_a_drain_finishes_what_was_accepted_and_begins_nothing_more(tmp_path: Path) -> None:
    service = Service(settings(tmp_path, unary_threads=1, max_streams=2, max_wait_s=60.0))
    service.__enter__()
    server = RunningServer(service)
    create_gallery(server, "g")
    ended = threading.Event()

    def batches() -> Iterator[enrollment.StreamEnrollFacesRequest]:
        for number in range(6):
            batch = enrollment.EnrollFacesRequest(parent="galleries/g", enrollments=[item(f"b{number}", axis(1))])
            yield enrollment.StreamEnrollFacesRequest(sequence=number, batch=batch)
        ended.wait()

    with Held(service._store.submit):
        create = server.galleries.CreateSubject
        stream = server.enrollment.StreamEnrollFaces(batches())
        wait_until(lambda: len(service._store._writer._waiting) == 3)
        calls = [create.future(subject("g", f"s{number}")) for number in range(6)]
        wait_until(lambda: service._server._activity.waiting >= 3 and len(service._store._writer._waiting) >= 5)
        drain = threading.Thread(target=service.__exit__, args=(None, None, None))
        drain.start()
        wait_until(lambda: service._server._activity._draining)
        with pytest.raises(grpc.RpcError):
            create(subject("g", "late"))
    assert [call.result().subject.name[-2:] for call in calls] == [f"s{number}" for number in range(6)]
    assert [next(stream).response.revision for _ in range(3)] == [1, 2, 3], "the two that were begun meanwhile, too"
    with refused() as refusal:
        next(stream)
    assert refusal.reason == "SHUTTING_DOWN"
    drain.join()
    ended.set()
    server.channel.close()
    with running_server(settings(tmp_path)) as server:
        assert {name for name, _ in server.subjects("g")} == {"b0", "b1", "b2", *(f"s{number}" for number in range(6))}


def test_a_drain_that_takes_too_long_ends_all_the_same(tmp_path: Path) -> None:
    service = Service(settings(tmp_path, drain_timeout_s=0.1))
    service.__enter__()
    server = RunningServer(service)
    create_gallery(server, "g")
    held = Held(server.service._galleries.get("g")._actor.ask)
    call = server.identification.Identify.future(pb.IdentifyRequest(gallery="galleries/g", probe=probe(axis(1))))
    wait_until(lambda: len(service._galleries.get("g")._actor._queue._jobs) == 1)
    threading.Timer(3.0, held.let_go).start()
    with capture_logs() as logs:
        service.__exit__(None, None, None)
    assert "calls were still under way at the end of the drain" in [entry["event"] for entry in logs]
    assert call.code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}
    server.channel.close()


def test_a_start_that_fails_gives_everything_back(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(OSError, match="cannot be bound"):
        Service(settings(tmp_path, host="203.0.113.1", allow_insecure=True))
    with running_server(settings(tmp_path)) as server:
        create_gallery(server, "g")
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith(("index", "store"))]


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as attempt:
            attempt.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
def test_a_server_can_be_reached_by_ipv6(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, host="::1")) as server:
        assert server.address.startswith("[::1]:")
        create_gallery(server, "g")


@pytest.mark.parametrize("sent", [b"\xff\xff", b"\x0a\x7f", b"\x0b" * 200])
def test_what_is_no_message_is_an_invalid_request_and_no_fault_of_the_server(
    server: RunningServer, sent: bytes
) -> None:
    channel: Any = server.channel
    with refused() as unary:
        channel.unary_unary("/ersgallery.v1.GalleryService/GetGallery")(sent)
    with refused() as stream:
        list(channel.stream_stream("/ersgallery.v1.IdentificationService/StreamIdentify")(iter([sent])))
    for refusal in (unary, stream):
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert (refusal.reason, refusal.fields) == ("INVALID_REQUEST", ["request"])
        assert "ersgallery.v1." in refusal.message
