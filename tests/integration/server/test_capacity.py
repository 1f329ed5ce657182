"""The limits of galleries and of their faces hold to the last, and what is refused leaves nothing behind."""

import threading
from pathlib import Path

import grpc
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery_server.values import Capacity

from tests.support.requests import axis, create_gallery, enroll, item
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import refused


def count(server: RunningServer, gallery_id: str = "g") -> int:
    return int(server.gallery(gallery_id).counts.faces)


def test_as_many_galleries_as_may_be_and_no_more(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, capacity=Capacity(galleries=2))) as server:
        create_gallery(server, "a")
        create_gallery(server, "b")
        with refused() as refusal:
            create_gallery(server, "c")
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_GALLERIES")
        assert "2" in refusal.message
        assert refusal.retry_after_s is None
        with refused() as refusal:
            create_gallery(server, "a")
        assert refusal.reason == "GALLERY_EXISTS"
        server.galleries.DeleteGallery(galleries.DeleteGalleryRequest(name="galleries/a"))
        create_gallery(server, "c")
    with running_server(settings(tmp_path, capacity=Capacity(galleries=1))) as server:
        assert len(server.galleries.ListGalleries(galleries.ListGalleriesRequest()).galleries) == 2


def test_a_full_gallery_takes_nothing_of_a_batch(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, capacity=Capacity(faces_per_gallery=3))) as server:
        create_gallery(server, "g")
        first = enroll(server, "g", item("ann", axis(1)), item("bob", axis(2)), request_id="first")
        with refused() as refusal:
            enroll(server, "g", item("cem", axis(3)), item("dan", axis(4)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "GALLERY_FULL")
        assert "may have 3" in refusal.message
        assert refusal.retry_after_s is None
        assert [subject for subject, _ in server.subjects("g")] == ["ann", "bob"]
        assert (count(server), server.gallery("g").revision) == (2, first.revision)
        enroll(server, "g", item("cem", axis(3)))
        assert enroll(server, "g", item("ann", axis(1)), item("bob", axis(2)), request_id="first") == first
        server.galleries.DeleteSubject(galleries.DeleteSubjectRequest(name="galleries/g/subjects/ann"))
        enroll(server, "g", item("dan", axis(4)))
        with refused() as refusal:
            enroll(server, "g", item("eve", axis(5)))
        assert refusal.reason == "GALLERY_FULL"


def test_a_stream_goes_on_after_a_batch_that_does_not_fit(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, capacity=Capacity(faces_per_gallery=2))) as server:
        create_gallery(server, "g")

        def batch(number: int, *subjects: str) -> enrollment.StreamEnrollFacesRequest:
            items = [item(subject, axis(number + 1)) for subject in subjects]
            request = enrollment.EnrollFacesRequest(parent="galleries/g", enrollments=items)
            return enrollment.StreamEnrollFacesRequest(sequence=number, batch=request)

        batches = [batch(1, "a"), batch(2, "b", "c"), batch(3, "d")]
        answers = list(server.enrollment.StreamEnrollFaces(iter(batches), timeout=60))
        assert [answer.WhichOneof("outcome") for answer in answers] == ["response", "error", "response"]
        assert count(server) == 2


def test_callers_at_once_fill_a_gallery_exactly(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, capacity=Capacity(faces_per_gallery=20))) as server:
        create_gallery(server, "g")
        accepted = []

        def caller(number: int) -> None:
            for turn in range(8):
                try:
                    enroll(server, "g", item(f"s{number}-{turn}", axis(1 + number)))
                except grpc.RpcError:
                    continue
                accepted.append(number)

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(accepted) == count(server) == 20
