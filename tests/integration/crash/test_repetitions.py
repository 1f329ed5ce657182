"""An enrolment that is repeated under its request_id is stored once, whatever happened to the first answer."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries

from tests.crash.enrolling import enroll_raw, with_other_body
from tests.crash.process import ServerProcess
from tests.support.proxy import Proxy
from tests.support.requests import axis, create_gallery, found, identify, item
from tests.support.server import RemoteServer, RunningServer, running_server
from tests.support.server import settings as server_settings
from tests.support.statuses import refused

LONGEST_S = 60.0


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ServerProcess]:
    started = ServerProcess(tmp_path)
    yield started
    started.kill()


def batch(name: str, *vectors: int) -> enrollment.EnrollFacesRequest:
    items = [item(f"{name}{vector}", axis(vector)) for vector in vectors]
    return enrollment.EnrollFacesRequest(parent="galleries/g", request_id=f"once-{name}", enrollments=items)


def until(condition: Callable[[], bool]) -> None:
    begun_s = time.monotonic()
    while not condition():
        assert time.monotonic() - begun_s < LONGEST_S
        time.sleep(0.01)


def test_a_kill_between_commit_and_answer_leaves_one_enrolment_and_its_answer(process: ServerProcess) -> None:
    server = process.start()
    create_gallery(server, "g")
    proxy = Proxy(server.address)
    through = RemoteServer(proxy.address)
    through.gallery("g")  # connects
    proxy.silent.set()
    lost = through.enrollment.EnrollFaces.future(batch("ann", 1, 2), timeout=LONGEST_S)
    until(lambda: server.gallery("g").counts.faces == 2)
    process.kill()
    proxy.close()
    with pytest.raises(grpc.RpcError):
        lost.result()
    server = process.start()
    stored = {face.name for face in _faces(server)}
    answer = enroll_raw(server, batch("ann", 1, 2))
    outcomes = enrollment.EnrollFacesResponse.FromString(answer).outcomes
    assert {face.face for outcome in outcomes for face in outcome.result.faces} == stored
    assert (server.gallery("g").counts.faces, server.gallery("g").revision) == (2, 1)
    process.kill()
    server = process.start()
    assert enroll_raw(server, batch("ann", 1, 2)) == answer
    with refused() as refusal:
        enroll_raw(server, with_other_body(batch("ann", 1, 2)))
    assert refusal.reason == "REQUEST_ID_REUSED"


def test_a_repetition_after_a_deletion_and_a_kill_brings_nothing_back(process: ServerProcess) -> None:
    server = process.start()
    create_gallery(server, "g")
    first = enroll_raw(server, batch("ann", 1))
    server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name="galleries/g/subjects/ann1"))
    process.kill()
    server = process.start()
    assert enroll_raw(server, batch("ann", 1)) == first
    assert found(identify(server, "g", axis(1), gamma=0.0, gamma_gallery=0.0)) == []
    assert _faces(server) == []


def test_a_stream_that_is_sent_again_after_a_kill_stores_each_batch_once(process: ServerProcess) -> None:
    server = process.start()
    create_gallery(server, "g")
    names = [f"b{number}-" for number in range(6)]
    hold = threading.Event()

    def requests(last: int) -> Iterator[enrollment.StreamEnrollFacesRequest]:
        for name in names[:last]:
            yield enrollment.StreamEnrollFacesRequest(batch=batch(name, 1, 2))
        if last < len(names):
            hold.wait(LONGEST_S)  # the stream is still open when the server is killed

    answers = server.enrollment.StreamEnrollFaces(requests(4))
    first = [next(answers).response for _ in range(2)]
    process.kill()
    hold.set()
    server = process.start()
    again = [answer.response for answer in server.enrollment.StreamEnrollFaces(requests(6))]
    assert [each.SerializeToString() for each in again[:2]] == [each.SerializeToString() for each in first]
    assert sorted(each.revision for each in again) == list(range(1, 7))
    assert (server.gallery("g").counts.faces, server.gallery("g").revision) == (12, 6)


def test_of_many_equal_requests_at_once_one_is_stored_and_all_get_its_answer(tmp_path: Path) -> None:
    with running_server(server_settings(tmp_path)) as server, ThreadPoolExecutor(6) as pool:
        create_gallery(server, "g")
        for number in range(12):
            assert len(set(pool.map(lambda _, n=number: _enroll_one(server, n), range(6)))) == 1
            assert server.gallery("g").counts.faces == server.gallery("g").revision == number + 1


def _enroll_one(server: RunningServer, number: int) -> bytes:
    return enroll_raw(server, batch(f"n{number}-", 1 + number))


def _faces(server: RemoteServer) -> list[gallery_pb2.Face]:
    request = galleries.ListFacesRequest(parent="galleries/g/subjects/-")
    return list(server.galleries.ListFaces(request).faces)
