"""What gRPC itself must keep: streams starve nobody, health and reflection answer, deadlines and limits hold."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery_server.service import Service
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.support.requests import axis, create_gallery, enroll, found, identify, item, matrix
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import refused

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
