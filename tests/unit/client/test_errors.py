import pickle
import re
from typing import Any

import grpc
import numpy as np
import pytest
from ersgallery.v1.errors_pb2 import ErrorReason
from ersgallery.v1.face_input_pb2 import Embedding
from ersgallery.v1.gallery_pb2 import Face
from ersgallery.v1.gallery_service_pb2 import GetFaceResponse
from ersgallery_client import Enrollment, GalleryClient, GalleryError, RetryPolicy, errors
from ersgallery_client.errors import FieldViolation
from ersgallery_client.statuses import BY_CODE, BY_REASON, error_from_status

from tests.support.clients import MakeClient
from tests.support.wire_server import WireServer, fail_at_the_end, status

FAILURES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
ONCE = RetryPolicy(attempts=1, stream_attempts=1)


def error_classes() -> list[type[GalleryError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GalleryError)]


def test_every_reason_of_the_contract_has_a_class_of_its_own() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name, _ in ErrorReason.items()} - {"UNSPECIFIED"}
    assert set(BY_REASON) == reasons
    assert len(set(BY_REASON.values())) == len(reasons)


def test_every_failing_grpc_code_has_a_class() -> None:
    assert set(BY_CODE) == {code.name for code in FAILURES}


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^(    [ |]*(?:\+- )?)([A-Z][A-Za-z]+)(  |$)", line):
            depth, name = len(found[1]), found[2]
            path = [(d, n) for d, n in path if d < depth]
            drawn[name] = path[-1][1] if path else "Exception"
            path.append((depth, name))
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in error_classes()}


@pytest.mark.parametrize("reason", sorted(BY_REASON))
def test_a_reason_decides_whatever_code_and_text_come_with_it(reason: str) -> None:
    error = error_from_status(status(grpc.StatusCode.ABORTED, reason, "GALLERY_NOT_FOUND"))
    assert type(error) is BY_REASON[reason]
    assert (error.reason, error.code, str(error)) == (reason, "ABORTED", "GALLERY_NOT_FOUND")


def test_a_reason_of_a_newer_server_keeps_its_name_and_gets_the_class_of_its_code() -> None:
    error = error_from_status(status(grpc.StatusCode.NOT_FOUND, "MOON_NOT_FOUND"))
    assert type(error) is errors.NotFound
    assert error.reason == "MOON_NOT_FOUND"


def test_a_code_that_grpc_does_not_know_is_a_fault_of_the_server() -> None:
    unknown = status(grpc.StatusCode.INTERNAL)
    unknown.code = 99
    assert type(error_from_status(unknown)) is errors.ServerFault


def test_an_error_carries_violations_retry_and_metadata(client: GalleryClient, wire: WireServer) -> None:
    failure = status(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
        "tau is out of range",
        violations={"gallery.tau": "must lie in -1..1", "gallery.gamma": "must lie in 0..1"},
        retry_after_s=1.5,
        metadata={"limit": "1"},
    )
    wire.answer("GetGallery", failure)
    with pytest.raises(errors.InvalidRequest, match=r"^tau is out of range$") as caught:
        client.get_gallery("g")
    assert caught.value.violations == (
        FieldViolation("gallery.tau", "must lie in -1..1"),
        FieldViolation("gallery.gamma", "must lie in 0..1"),
    )
    assert caught.value.retry_after_s == 1.5
    assert caught.value.metadata == {"limit": "1"}
    assert caught.value.code == "INVALID_ARGUMENT"


def test_an_error_survives_pickling() -> None:
    error = errors.Overloaded("busy", reason="OVERLOADED", code="RESOURCE_EXHAUSTED", retry_after_s=2.0)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.reason, copy.retry_after_s) == (errors.Overloaded, "busy", "OVERLOADED", 2.0)


@pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)
def test_no_grpc_error_leaks_from_a_call(make_client: MakeClient, wire: WireServer, code: grpc.StatusCode) -> None:
    wire.on("GetGallery", lambda _, context: context.abort(code, "plain"))
    with pytest.raises(GalleryError) as caught:
        make_client(wire.address, retry=ONCE).get_gallery("g")
    assert type(caught.value) is BY_CODE[code.name]
    assert (caught.value.reason, caught.value.code) == ("", code.name)


@pytest.mark.parametrize("code", FAILURES, ids=lambda code: code.name)
def test_no_grpc_error_leaks_from_a_stream(make_client: MakeClient, wire: WireServer, code: grpc.StatusCode) -> None:
    wire.on("StreamEnrollFaces", lambda requests, context: fail_at_the_end(requests, context, status(code)))
    stream = make_client(wire.address, retry=ONCE).enroll_stream("g", [Enrollment("ada", np.ones(2))])
    with pytest.raises(GalleryError) as caught:
        next(stream)
    assert type(caught.value) is BY_CODE[code.name]


def test_no_grpc_error_leaks_from_a_list(make_client: MakeClient, wire: WireServer) -> None:
    wire.answer("ListGalleries", status(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN"))
    with pytest.raises(errors.ShuttingDown):
        list(make_client(wire.address, retry=ONCE).list_galleries())


@pytest.mark.parametrize("details", [b"\xff", status(grpc.StatusCode.NOT_FOUND, "FACE_NOT_FOUND").SerializeToString()])
def test_details_that_are_no_status_or_another_one_leave_the_code(
    client: GalleryClient, wire: WireServer, details: bytes
) -> None:
    def abort(_: Any, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "plain")

    wire.on("GetGallery", abort)
    with pytest.raises(errors.AccessDenied):
        client.get_gallery("g")


def test_an_answer_that_is_no_message_breaks_the_contract(client: GalleryClient, wire: WireServer) -> None:
    # Field 1 of Embedding is bytes, like the gallery of the answer, and these bytes are no Gallery.
    wire.answer("GetGallery", Embedding(packed=b"\xff\xff"))
    with pytest.raises(errors.UnexpectedAnswer):
        client.get_gallery("g")


def test_an_answer_with_a_malformed_name_breaks_the_contract(client: GalleryClient, wire: WireServer) -> None:
    wire.answer("GetFace", GetFaceResponse(face=Face(name="17")))
    with pytest.raises(errors.UnexpectedAnswer):
        client.get_face("g", "ada", 17)
