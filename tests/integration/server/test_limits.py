"""Every limit is kept by a running server, and whoever goes beyond learns the limit."""

import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from click import IntRange
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from ersgallery_server.cli.serve import serve
from ersgallery_server.faces.images import ImageLimits
from numpy.typing import ArrayLike
from PIL import Image

from tests.support.held import Held
from tests.support.models import installed_models_dir
from tests.support.requests import axis, create_gallery, create_profile, embedding, enroll, identify, item, matrix
from tests.support.requests import template as template_of
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import refused
from tests.support.waiting import until

DOCUMENT = Path(__file__).parents[3] / "docs" / "security.md"
MIB = 1024 * 1024
INVALID, EXHAUSTED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED
G = "galleries/g"


@dataclass(frozen=True)
class Case:
    """A request beyond a limit. name: as in the table of docs/security.md; words: what the caller learns."""

    name: str
    request: Callable[[RunningServer], object]
    words: str
    reason: str = "INVALID_REQUEST"
    code: grpc.StatusCode = INVALID


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def search(server: RunningServer, vectors: ArrayLike) -> object:
    return server.identification.BatchIdentify(pb.BatchIdentifyRequest(gallery=G, matrix=matrix(vectors)))


def search_list(server: RunningServer, count: int) -> object:
    probes = pb.ProbeList(probes=[face.Probe(embedding=embedding(axis(1)))] * count)
    return server.identification.BatchIdentify(pb.BatchIdentifyRequest(gallery=G, list=probes))


def search_template(server: RunningServer, members: int) -> object:
    probe = face.Probe(template=template_of([axis(1)] * members))
    return server.identification.Identify(pb.IdentifyRequest(gallery=G, probe=probe))


def search_image(server: RunningServer, gallery: str, content: bytes) -> object:
    probe = face.Probe(image=face.Image(content=content))
    return server.identification.Identify(pb.IdentifyRequest(gallery=gallery, probe=probe))


def score(server: RunningServer, count: int) -> object:
    faces = [face.TemplateMember(embedding=embedding(axis(1)))] * count
    return server.recognizability.Score(recognizability.ScoreRequest(profile="profiles/unit", faces=faces))


def subjects(server: RunningServer, page_size: int) -> object:
    return server.galleries.ListSubjects(galleries.ListSubjectsRequest(parent=G, page_size=page_size))


def subject(server: RunningServer, subject_id: str, metadata: dict[str, str] | None = None, label: str = "") -> object:
    request = galleries.CreateSubjectRequest(parent=G, subject_id=subject_id)
    request.subject.display_name = label
    request.subject.metadata.update(metadata or {})
    return server.galleries.CreateSubject(request)


def get_gallery(server: RunningServer, name: str) -> object:
    return server.galleries.GetGallery(galleries.GetGalleryRequest(name=name))


def with_headers(server: RunningServer, size_bytes: int) -> object:
    request = galleries.ListGalleriesRequest()
    return server.galleries.ListGalleries(request, metadata=(("x-note", "x" * size_bytes),))


CASES = [
    Case("message", lambda s: search(s, np.zeros((4096, 128))), f" vs. {MIB})", "", EXHAUSTED),
    Case("headers of a call", lambda s: with_headers(s, 20_000), "16384", "", EXHAUSTED),
    Case("probes in a matrix", lambda s: search(s, np.zeros((4097, 16))), "the limit is 4096", "BATCH_TOO_LARGE"),
    Case("probes in a list", lambda s: search_list(s, 257), "the limit is 256", "BATCH_TOO_LARGE"),
    Case("faces in a Score", lambda s: score(s, 257), "the limit is 256", "BATCH_TOO_LARGE"),
    Case(
        "enrolments in a batch",
        lambda s: enroll(s, "g", *[item("ann", axis(1))] * 1001),
        "the limit is 1000",
        "BATCH_TOO_LARGE",
    ),
    Case("members of a template", lambda s: search_template(s, 1001), "the limit is 1000", "BATCH_TOO_LARGE"),
    Case("candidates", lambda s: identify(s, "g", axis(1), max_candidates=1025), "must lie in 0..1024"),
    Case("page", lambda s: subjects(s, 1001), "must lie in 0..1000"),
    Case("gallery and profile ids", lambda s: create_gallery(s, "g" * 64), "1 to 63"),
    Case("gallery and profile ids", lambda s: create_profile(s, "p" * 64), "1 to 63"),
    Case("gallery and profile ids", lambda s: get_gallery(s, f"galleries/{'g' * 64}"), "1 to 63"),
    Case("subject ids", lambda s: subject(s, "s" * 129), "1 to 128"),
    Case("display names", lambda s: subject(s, "ann", label="n" * 257), "the limit is 256"),
    Case("metadata entries", lambda s: subject(s, "ann", {f"k{i}": "" for i in range(33)}), "the limit is 32"),
    Case("metadata keys", lambda s: subject(s, "ann", {"k" * 65: ""}), "the limit is 64"),
    Case("metadata values", lambda s: subject(s, "ann", {"k": "v" * 513}), "the limit is 512"),
    Case(
        "request ids",
        lambda s: enroll(s, "g", item("ann", axis(1)), request_id="r" * 129),
        "the limit is 128",
    ),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(settings(tmp_path_factory.mktemp("limits"), max_message_bytes=MIB)) as running:
        create_gallery(running, "g")
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_goes_beyond_a_limit_is_refused_and_told_the_limit(server: RunningServer, case: Case) -> None:
    with refused() as refusal:
        case.request(server)
    assert (refusal.code, refusal.reason) == (case.code, case.reason)
    assert case.words in refusal.message
    assert server.subjects("g") == []


@pytest.mark.parametrize(
    "request_at_the_limit",
    [
        lambda s: search(s, np.ones((4096, 16))),
        lambda s: search_list(s, 256),
        lambda s: score(s, 256),
        lambda s: search_template(s, 1000),
        lambda s: identify(s, "g", axis(1), max_candidates=1024),
        lambda s: subjects(s, 1000),
        lambda s: with_headers(s, 15_000),
    ],
)
def test_what_keeps_to_a_limit_is_served(
    server: RunningServer, request_at_the_limit: Callable[[RunningServer], object]
) -> None:
    request_at_the_limit(server)


@pytest.mark.real_faces
def test_photographs_beyond_bytes_or_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    limits = ImageLimits(max_bytes=100_000, max_pixels=10_000)
    with running_server(settings(tmp_path, installed_models_dir(), image_limits=limits)) as server:
        request = galleries.CreateGalleryRequest(gallery_id="photographs")
        request.gallery.profile, request.gallery.tau = "profiles/sface", 0.4
        server.galleries.CreateGallery(request)
        for content, words in ((png(200, 200), "the limit is 100000 bytes"), (png(101, 100), "10000 pixels")):
            with refused() as refusal:
                search_image(server, "galleries/photographs", content)
            assert (refusal.code, refusal.reason) == (INVALID, "IMAGE_TOO_LARGE")
            assert words in refusal.message


def test_streams_waiting_calls_and_waiting_searches_are_bounded_and_say_when_to_come_again(tmp_path: Path) -> None:
    bounds: dict[str, Any] = {"unary_threads": 1, "max_streams": 1, "max_waiting_calls": 2, "max_waiting_searches": 1}
    bounds["max_wait_s"] = 60.0
    with running_server(settings(tmp_path, **bounds)) as server:
        create_gallery(server, "g")
        end = threading.Event()

        def requests() -> Iterator[pb.StreamIdentifyRequest]:
            batch = pb.BatchIdentifyRequest(gallery=G, matrix=matrix([axis(1)]))
            yield pb.StreamIdentifyRequest(sequence=1, batch=batch)
            end.wait()

        stream = server.identification.StreamIdentify(requests())
        next(stream)
        with refused() as refusal:
            next(server.identification.StreamIdentify(requests()))
        assert (refusal.code, refusal.reason, refusal.retry_after_s) == (EXHAUSTED, "TOO_MANY_STREAMS", 1.0)
        assert "1 streams are open, which is the limit" in refusal.message
        end.set()
        assert list(stream) == []
        with Held(server.service._store.submit):
            create = server.galleries.CreateSubject
            request = galleries.CreateSubjectRequest(parent=G, subject_id="ann")
            calls = [create.future(request) for _ in range(2)]
            until(lambda: len(server.service._store._writer._waiting) == 2)  # both threads are busy
            calls += [create.future(request) for _ in range(2)]
            until(lambda: server.service._server.activity.waiting == 2)
            with refused() as refusal:
                create(request)
            assert (refusal.code, refusal.reason, refusal.retry_after_s) == (EXHAUSTED, "OVERLOADED", 0.5)
            assert "2 waiting" in refusal.message
        assert sum(call.exception() is None for call in calls) == 1
        with Held(server.service._galleries.get("g")._actor.ask):
            waiting = server.identification.Identify.future(identification())
            until(lambda: len(server.service._galleries.get("g")._actor._queue._jobs) == 1)
            with refused() as refusal:
                server.identification.Identify(identification())
            assert (refusal.code, refusal.reason) == (EXHAUSTED, "OVERLOADED")
            assert "1 waiting" in refusal.message
        assert waiting.result()


def identification() -> pb.IdentifyRequest:
    return pb.IdentifyRequest(gallery=G, probe=face.Probe(embedding=embedding(axis(1))))


def test_no_more_connections_are_taken_than_may_be_and_a_place_is_given_back(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, max_connections=3)) as server:
        host, _, port = server.address.rpartition(":")
        server.galleries.ListGalleries(galleries.ListGalleriesRequest())
        # They say nothing, and count all the same.
        idle = [socket.create_connection((host, int(port))) for _ in range(8)]
        for one in idle:
            one.settimeout(60)
        assert len(_closed(idle)) == 6
        server.galleries.ListGalleries(galleries.ListGalleriesRequest())
        for one in idle:
            one.close()
        until(lambda: _gets_in(server.address))


def _closed(connections: list[socket.socket]) -> list[socket.socket]:
    """Return those that the server closed; the others get HTTP/2's first frame."""
    return [one for one in connections if one.recv(1) == b""]


def _gets_in(address: str) -> bool:
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=1)
        except grpc.FutureTimeoutError:
            return False
        return True


def test_a_connection_that_pings_without_end_is_closed(server: RunningServer) -> None:
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4))
        connection.sendall(_frame(6, bytes(8)) * 8)
        received = b""
        while part := connection.recv(65_536):
            received += part
    assert b"too_many_pings" in received


def _frame(kind: int, payload: bytes = b"") -> bytes:
    """Return a frame of HTTP/2 for the whole connection: 4 is SETTINGS, 6 is PING."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, 0)) + bytes(4) + payload


def documented() -> dict[str, str]:
    """Return the rows of the table of limits, by their names."""
    section = DOCUMENT.read_text(encoding="utf-8").split("\n## Limits\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {row[0]: " ".join(row[1:]) for row in rows[1:]}


def test_every_limit_that_is_tested_and_every_option_with_its_default_is_in_the_document() -> None:
    rows = documented()
    assert {case.name for case in CASES} <= set(rows)
    for option in serve.params:
        if option.name is not None and option.name.startswith("max_") and isinstance(option.type, IntRange):
            flag = f"`--{option.name.replace('_', '-')}`"
            texts = [text for text in rows.values() if flag in text]
            assert len(texts) == 1, f"{flag} must be in one row of the table of limits in docs/security.md"
            assert f"{option.default:,}" in texts[0], f"{flag} has another default"
