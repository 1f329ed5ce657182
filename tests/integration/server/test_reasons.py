"""Every reason and every limit of the contract really happens, with the field and the limit in the error."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import identification_service_pb2 as pb
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from ersgallery_index.backends.exact_index import ExactIndex
from ersgallery_server.gallery import state as state_module
from google.protobuf.field_mask_pb2 import FieldMask
from grpc_status import rpc_status
from sqlalchemy import text

from tests.support.indexes import AddOnlyBackend
from tests.support.requests import (
    DIMENSION,
    MODEL,
    axis,
    create_gallery,
    create_profile,
    embedding,
    enroll,
    found,
    identify,
    item,
    matrix,
    probe,
    template,
)
from tests.support.server import RunningServer, running_server, settings
from tests.support.statuses import Refusal, read, refused

Ask = Callable[[RunningServer, Any], Any]
INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
GALLERY = "galleries/limits"
ANN = f"{GALLERY}/subjects/ann"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(settings(tmp_path_factory.mktemp("reasons"))) as running:
        create_gallery(running, "limits")
        enroll(running, "limits", item("ann", axis(1)))
        create_gallery(running, "enrolled")
        enroll(running, "enrolled", item("ann", axis(1)), request_id="used")
        yield running


def refusal_of(ask: Callable[[], Any]) -> Refusal | None:
    """Return how something was refused, as a whole or in its first item; None where it was not."""
    try:
        answer = ask()
    except grpc.RpcError as error:
        caught: Any = error
        status = rpc_status.from_call(caught)
        assert status is not None, caught
        return read(status)
    outcomes = answer.outcomes if isinstance(answer, enrollment.EnrollFacesResponse) else []
    for outcome in outcomes:
        if outcome.WhichOneof("outcome") == "error":
            return read(outcome.error)
    return None


def create(server: RunningServer, **fields: Any) -> Any:
    gallery_id = fields.pop("gallery_id", f"fresh-{np.random.default_rng().integers(1 << 40)}")
    wanted = gallery_pb2.Gallery(**{"profile": create_profile(server), "tau": 0.5, **fields})
    return server.galleries.CreateGallery(galleries.CreateGalleryRequest(gallery_id=gallery_id, gallery=wanted))


def subject(server: RunningServer, **fields: Any) -> Any:
    subject_id = fields.pop("subject_id", "")
    request = galleries.CreateSubjectRequest(
        parent=GALLERY, subject_id=subject_id, subject=gallery_pb2.Subject(**fields)
    )
    return server.galleries.CreateSubject(request)


def batch(server: RunningServer, *items: enrollment.Enrollment, request_id: str = "") -> Any:
    return enroll(server, "enrolled", *items, request_id=request_id)


def search(server: RunningServer, sent: face.Probe | None = None, **policy: Any) -> Any:
    wishes = pb.SearchPolicy(**policy)
    request = pb.IdentifyRequest(gallery=GALLERY, probe=sent or probe(axis(1)), policy=wishes)
    return server.identification.Identify(request)


def search_list(server: RunningServer, count: int) -> Any:
    probes = pb.ProbeList(probes=[probe(axis(1))] * count)
    return server.identification.BatchIdentify(pb.BatchIdentifyRequest(gallery=GALLERY, list=probes))


def search_matrix(server: RunningServer, rows: int) -> Any:
    sent = matrix(np.resize(axis(1), (rows, DIMENSION)))
    policy = pb.SearchPolicy(max_candidates=1)
    return server.identification.BatchIdentify(pb.BatchIdentifyRequest(gallery=GALLERY, matrix=sent, policy=policy))


def score(server: RunningServer, count: int) -> Any:
    faces = [face.TemplateMember(embedding=embedding(axis(1)))] * count
    return server.recognizability.Score(recognizability.ScoreRequest(gallery=GALLERY, faces=faces))


def profile(server: RunningServer, profile_id: str = "made", **fields: Any) -> Any:
    wanted = recognizability.Profile(**{"model": MODEL, "gamma": 0.5, "centroids": matrix([axis(0)]), **fields})
    request = recognizability.CreateProfileRequest(profile_id=profile_id, profile=wanted)
    return server.recognizability.CreateProfile(request)


def many(count: int) -> face.Template:
    return template([axis(1)] * count)


@dataclass(frozen=True)
class Limit:
    """What may be `most` and not one more; `field` and the limit are in the refusal."""

    what: str
    field: str
    most: int
    ask: Ask
    reason: str = "INVALID_REQUEST"


LIMITS = [
    Limit("gallery id", "gallery_id", 63, lambda s, n: create(s, gallery_id="g" * n)),
    Limit("gallery label", "gallery.display_name", 256, lambda s, n: create(s, display_name="\u00e9" * n)),
    Limit("subject id", "subject_id", 128, lambda s, n: subject(s, subject_id="\u00fc" * n)),
    Limit("subject label", "subject.display_name", 256, lambda s, n: subject(s, display_name="x" * n)),
    Limit("metadata", "subject.metadata", 32, lambda s, n: subject(s, metadata={str(i): "" for i in range(n)})),
    Limit("metadata key", "subject.metadata key", 64, lambda s, n: subject(s, metadata={"k" * n: ""})),
    Limit("metadata value", "subject.metadata[k]", 512, lambda s, n: subject(s, metadata={"k": "v" * n})),
    Limit("enrolled id", "enrollments[0].subject_id", 128, lambda s, n: batch(s, item("x" * n, axis(1)))),
    Limit(
        "enrolled label",
        "enrollments[0].subject_display_name",
        256,
        lambda s, n: batch(s, item("x", axis(1), subject_display_name="x" * n)),
    ),
    Limit("media id", "enrollments[0].media_id", 128, lambda s, n: batch(s, item("x", axis(1), media_id="m" * n))),
    Limit("request id", "request_id", 128, lambda s, n: batch(s, item("x", axis(1)), request_id="r" * n)),
    Limit("items", "enrollments", 1000, lambda s, n: batch(s, *[item("x", axis(1))] * n), "BATCH_TOO_LARGE"),
    Limit(
        "faces of all items",
        "faces",
        1000,
        lambda s, n: batch(s, item("x", axis(1)), enrollment.Enrollment(subject_id="y", template=many(n - 1))),
        "BATCH_TOO_LARGE",
    ),
    Limit("candidates", "policy.max_candidates", 1024, lambda s, n: search(s, max_candidates=n)),
    Limit(
        "members",
        "probe.template.members",
        1000,
        lambda s, n: search(s, face.Probe(template=many(n))),
        "BATCH_TOO_LARGE",
    ),
    Limit("rows", "matrix.rows", 4096, search_matrix, "BATCH_TOO_LARGE"),
    Limit("probes", "list.probes", 256, search_list, "BATCH_TOO_LARGE"),
    Limit("scored faces", "faces", 256, score, "BATCH_TOO_LARGE"),
    Limit(
        "page",
        "page_size",
        1000,
        lambda s, n: s.galleries.ListSubjects(galleries.ListSubjectsRequest(parent=GALLERY, page_size=n)),
    ),
    Limit("profile id", "profile_id", 63, lambda s, n: profile(s, "p" * n)),
    Limit("profile's model", "profile.model", 64, lambda s, n: profile(s, model="m" * n)),
    Limit("description", "profile.description", 4096, lambda s, n: profile(s, description="d" * n)),
    Limit(
        "centroids",
        "profile.centroids.rows",
        64,
        lambda s, n: profile(s, centroids=matrix(np.eye(80)[:n])),
        "BATCH_TOO_LARGE",
    ),
    Limit(
        "dimension",
        "profile.centroids.dimension",
        4096,
        lambda s, n: profile(s, model="wide", centroids=matrix(np.eye(1, n))),
    ),
]


@pytest.mark.parametrize("limit", LIMITS, ids=[limit.what for limit in LIMITS])
def test_a_limit_is_kept_to_the_last_and_named(server: RunningServer, limit: Limit) -> None:
    assert refusal_of(lambda: limit.ask(server, limit.most)) is None
    refusal = refusal_of(lambda: limit.ask(server, limit.most + 1))
    assert refusal is not None
    assert (refusal.reason, refusal.fields) == (limit.reason, [limit.field])
    assert str(limit.most) in refusal.message.replace(str(limit.most + 1), "")


RANGES = [
    (owner, field, low, high)
    for owner in ("gallery", "policy")
    for field, low, high in (("gamma", 0, 1), ("gamma_gallery", 0, 1), ("tau", -1, 1), ("margin", 0, 2))
] + [("profile", "gamma", 0, 1)]


@pytest.mark.parametrize(("owner", "field", "low", "high"), RANGES)
def test_a_number_lies_in_its_range(server: RunningServer, owner: str, field: str, low: float, high: float) -> None:
    set_to: dict[str, Callable[..., Any]] = {"gallery": create, "policy": search, "profile": profile}

    def refusal(value: float) -> Refusal | None:
        return refusal_of(lambda: set_to[owner](server, **{field: value}))

    assert [refusal(low), refusal(high)] == [None, None]
    for value in (np.nextafter(low, -9), np.nextafter(high, 9), float("nan"), float("inf"), -1e308):
        found = refusal(float(value))
        assert found is not None
        assert (found.reason, found.fields) == ("INVALID_REQUEST", [f"{owner}.{field}"])
        assert f"{low:g}..{high:g}" in found.message


NAMES: list[tuple[Ask, list[Any]]] = [
    (lambda s, it: create(s, gallery_id=it), ["", "G", "1g", "-g", "g_", "g/", "\u0430"]),
    (lambda s, it: subject(s, subject_id=it), ["-", "/", "a\0", "a\n", "a\x7f", "a\x85"]),
    (lambda s, it: batch(s, item(it, axis(1))), ["", "-", "a/b", "a\0b"]),
    (lambda s, it: batch(s, item("x", axis(1)), request_id=it), ["a\0b"]),
    (lambda s, it: batch(s, item("x", axis(1), media_id=it)), ["a\0b"]),
    (lambda s, it: batch(s, item("x", axis(1), metadata=it)), [{"": "v"}, {"k\0": "v"}, {"k": "\0"}]),
    (lambda s, it: subject(s, display_name=it), ["a\0b"]),
    (profile, ["", "P", "p@1"]),
    (lambda s, it: profile(s, model=it), ["", "m\0"]),
    (lambda s, it: s.galleries.GetGallery(galleries.GetGalleryRequest(name=it)), ["", "limits", "galleries/", ANN]),
    (lambda s, it: s.galleries.GetFace(galleries.GetFaceRequest(name=it)), [ANN, f"{ANN}/faces/x", f"{ANN}/faces/-1"]),
    (
        lambda s, it: s.recognizability.GetProfile(recognizability.GetProfileRequest(name=it)),
        ["unit", "profiles/unit@0"],
    ),
]


@pytest.mark.parametrize(("ask", "wrong"), [(ask, it) for ask, all_wrong in NAMES for it in all_wrong])
def test_a_text_that_cannot_be_is_refused_with_its_field(server: RunningServer, ask: Ask, wrong: Any) -> None:
    refusal = refusal_of(lambda: ask(server, wrong))
    assert refusal is not None
    assert (refusal.reason, len(refusal.fields)) == ("INVALID_REQUEST", 1)


def test_a_subject_is_the_same_in_every_normal_form(server: RunningServer) -> None:
    composed, decomposed = "Ren\u00e9e", "Rene\u0301e"
    outcome = batch(server, item(decomposed, axis(9))).outcomes[0]
    parent = "galleries/enrolled"
    name = f"{parent}/subjects/{composed}"
    assert outcome.result.subject == name
    assert identify(server, "enrolled", axis(9)).identification.candidates[0].subject == name
    for spelled in (composed, decomposed):
        request = galleries.GetSubjectRequest(name=f"{parent}/subjects/{spelled}")
        assert server.galleries.GetSubject(request).subject.name == name
    with refused() as refusal:
        server.galleries.CreateSubject(galleries.CreateSubjectRequest(parent=parent, subject_id=decomposed))
    assert refusal.reason == "SUBJECT_EXISTS"


def _face_name(server: RunningServer) -> str:
    return server.galleries.ListFaces(galleries.ListFacesRequest(parent=ANN)).faces[0].name


def _update(server: RunningServer, *paths: str, **fields: Any) -> Any:
    request = galleries.UpdateGalleryRequest(
        gallery=gallery_pb2.Gallery(name=GALLERY, **fields), update_mask=FieldMask(paths=paths)
    )
    return server.galleries.UpdateGallery(request)


def _other_models_profile(server: RunningServer) -> str:
    return str(profile(server, "another", model="another").profile.name)


REASONS: dict[str, tuple[grpc.StatusCode, Callable[[RunningServer], Any]]] = {
    "INVALID_REQUEST": (INVALID, lambda s: search(s, face.Probe())),
    "INVALID_EMBEDDING": (INVALID, lambda s: search(s, probe(np.ones(3)))),
    "MODEL_MISMATCH": (INVALID, lambda s: search(s, face.Probe(embedding=embedding(axis(1), "another")))),
    "BATCH_TOO_LARGE": (INVALID, lambda s: search_list(s, 257)),
    "PAGE_TOKEN_INVALID": (
        INVALID,
        lambda s: s.galleries.ListGalleries(galleries.ListGalleriesRequest(page_token="x")),
    ),
    "GALLERY_NOT_FOUND": (NOT_FOUND, lambda s: identify(s, "nowhere", axis(1))),
    "SUBJECT_NOT_FOUND": (NOT_FOUND, lambda s: s.galleries.ListFaces(galleries.ListFacesRequest(parent=f"{ANN}a"))),
    "FACE_NOT_FOUND": (NOT_FOUND, lambda s: s.galleries.GetFace(galleries.GetFaceRequest(name=f"{ANN}/faces/0"))),
    "PROFILE_NOT_FOUND": (NOT_FOUND, lambda s: create(s, profile="profiles/none")),
    "IMAGE_NOT_STORED": (
        NOT_FOUND,
        lambda s: s.galleries.GetFaceImage(galleries.GetFaceImageRequest(name=_face_name(s))),
    ),
    "GALLERY_EXISTS": (grpc.StatusCode.ALREADY_EXISTS, lambda s: create(s, gallery_id="limits")),
    "SUBJECT_EXISTS": (grpc.StatusCode.ALREADY_EXISTS, lambda s: subject(s, subject_id="ann")),
    "REQUEST_ID_REUSED": (
        grpc.StatusCode.ALREADY_EXISTS,
        lambda s: batch(s, item("eve", axis(1)), request_id="used"),
    ),
    "ETAG_MISMATCH": (grpc.StatusCode.ABORTED, lambda s: _update(s, "tau", tau=0.5, etag="99")),
    "PROFILE_MODEL_MISMATCH": (
        grpc.StatusCode.FAILED_PRECONDITION,
        lambda s: _update(s, "profile", profile=_other_models_profile(s)),
    ),
    "MODEL_NOT_INSTALLED": (
        grpc.StatusCode.FAILED_PRECONDITION,
        lambda s: search(s, face.Probe(image=face.Image(content=b"some"))),
    ),
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_has_its_code_and_an_invalid_argument_its_field(server: RunningServer, reason: str) -> None:
    code, ask = REASONS[reason]
    with refused() as refusal:
        ask(server)
    assert (refusal.code, refusal.reason) == (code, reason)
    assert refusal.message
    assert bool(refusal.fields) == (code is INVALID)


@pytest.mark.parametrize("etag", ["0", "01x", "-1", "\u00b2", "9" * 30])
def test_an_etag_that_never_was_is_no_present_one(server: RunningServer, etag: str) -> None:
    asks: list[Callable[[], Any]] = [
        lambda: _update(server, "tau", tau=0.5, etag=etag),
        lambda: server.galleries.DeleteGallery(galleries.DeleteGalleryRequest(name=GALLERY, etag=etag)),
        lambda: server.galleries.UpdateSubject(
            galleries.UpdateSubjectRequest(subject=gallery_pb2.Subject(name=ANN, display_name="A", etag=etag))
        ),
        lambda: server.galleries.UpdateFace(
            galleries.UpdateFaceRequest(face=gallery_pb2.Face(name=_face_name(server), etag=etag))
        ),
    ]
    for ask in asks:
        refusal = refusal_of(ask)
        assert refusal is not None
        assert refusal.reason == "ETAG_MISMATCH"


def test_a_field_that_an_update_does_not_name_is_not_looked_at(server: RunningServer) -> None:
    answer = _update(server, "tau", tau=0.75, gamma=7.0, low_ers=99, display_name="x" * 300)
    assert (answer.gallery.tau, answer.gallery.HasField("gamma"), answer.gallery.display_name) == (0.75, False, "")


def test_a_full_disk_is_a_store_that_is_unavailable_and_searches_go_on(tmp_path: Path) -> None:
    with running_server(settings(tmp_path)) as server:
        create_gallery(server, "g")
        enroll(server, "g", item("ann", axis(1)))
        with server.service._store._engines.writing.connect() as connection:
            connection.execute(text("PRAGMA max_page_count = 1"))
        with refused() as refusal:
            enroll(server, "g", *(item(f"s{n}", axis(2), metadata={"k": "v" * 500}) for n in range(900)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        assert found(identify(server, "g", axis(1))) == ["ann"]
        assert server.gallery("g").counts.faces == 1


def test_a_device_without_room_refuses_a_gallery_and_says_which_faces_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = AddOnlyBackend()

    def open_index(dimension: int, **_: object) -> ExactIndex:
        device.require_room(1, dimension)
        return ExactIndex(dimension, device)

    monkeypatch.setattr(state_module, "open_index", open_index)
    with running_server(settings(tmp_path)) as server:
        create_gallery(server, "g")
        device.room = 0
        with refused() as refusal:
            create_gallery(server, "h")
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "DEVICE_FULL")
        with refused() as refusal:
            enroll(server, "g", item("ann", axis(1)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INDEX_BEHIND")
        assert "is stored" in refusal.message
        assert server.gallery("g").counts.faces == 1
        device.room = 1 << 30
        create_gallery(server, "h")
