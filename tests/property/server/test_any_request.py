"""Whatever a caller sends, it gets an answer or a reason: never INTERNAL, never silence."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from ersgallery.v1 import calibration_service_pb2 as calibration
from ersgallery.v1 import errors_pb2
from ersgallery.v1 import face_input_pb2 as face
from ersgallery.v1 import gallery_service_pb2 as galleries
from ersgallery.v1 import recognizability_service_pb2 as recognizability
from ersgallery_server.transport.methods import SERVICES
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from grpc_status import rpc_status
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.support.messages import Messages
from tests.support.requests import (
    DIMENSION,
    MODEL,
    axis,
    blurred,
    create_gallery,
    embedding,
    enroll,
    found,
    identify,
    item,
    matrix,
)
from tests.support.server import RunningServer, running_server
from tests.support.server import settings as server_settings
from tests.support.statuses import Refusal, read

# More, and other ones each time, by hand: ERSGALLERY_FUZZ_EXAMPLES=5000 pytest tests/property/server/...
# On another database: ERSGALLERY_FUZZ_DATABASE_URL.
EXAMPLES = int(os.environ.get("ERSGALLERY_FUZZ_EXAMPLES", "0"))
TIMEOUT_S = 20.0
FULL = "galleries/full"
REASONS = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()}  # noqa: SIM118 - a wrapper
METHODS = [method for service in SERVICES for method in service.methods]

few = settings(
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    url = os.environ.get("ERSGALLERY_FUZZ_DATABASE_URL")
    with running_server(server_settings(tmp_path_factory.mktemp("any"), database_url=url)) as running:
        yield running


def fill(server: RunningServer) -> str:
    """Make the gallery that the requests speak of, where one of them has changed it; return the name of a face."""
    with contextlib.suppress(grpc.RpcError):
        faces = server.galleries.ListFaces(galleries.ListFacesRequest(parent=f"{FULL}/subjects/ann")).faces
        if faces and len(server.subjects("full")) > 2:
            return faces[0].name
    with contextlib.suppress(grpc.RpcError):
        server.galleries.DeleteGallery(galleries.DeleteGalleryRequest(name=FULL))
    create_gallery(server, "full")
    made = enroll(server, "full", item("ann", axis(1)), item("bob", axis(2, (0, 0.3))), item("eve", blurred(3)))
    return made.outcomes[0].result.faces[0].face


def aim(server: RunningServer, request: Any, face_name: str) -> Any:
    """Let a request speak of a face or an operation that is there, where it speaks of one."""
    if getattr(request, "name", "") == AN_OPERATION:
        kept = server.calibration.ListOperations(calibration.ListOperationsRequest()).operations
        request.name = kept[-1].name if kept else AN_OPERATION
    named = request.face if "face" in request.DESCRIPTOR.fields_by_name else request
    if getattr(named, "name", "") == A_FACE:
        named.name = face_name
    return request


def texts(field: FieldDescriptor) -> Sequence[str]:
    """Return what a text field is sensibly filled with."""
    kind = field.containing_type.name if field.containing_type else ""
    if field.name == "name":
        if "Operation" in kind:
            return [AN_OPERATION, "operations/none"]
        names = {"Face": [A_FACE, A_FACE, f"{FULL}/subjects/ann/faces/1"], "Subject": SUBJECTS, "Profile": PROFILES}
        return next((found for part, found in names.items() if part in kind), [FULL])
    return {
        "parent": SUBJECTS if kind == "ListFacesRequest" else [FULL],
        "gallery": [FULL],
        "subject": SUBJECTS,
        "profile": PROFILES,
        "gallery_id": ["fresh", "full"],
        "profile_id": ["unit", "other"],
        "subject_id": ["ann", "bob", "eve", "e\u0301ve"],
        "model": [MODEL, ""],
        "kinds": ["", "CLEAN", "BLUR", "UNKNOWN"],
        "etag": ["", "1"],
        "page_token": [""],
        "paths": ["tau", "gamma", "profile", "display_name", "metadata", "low_ers"],
    }.get(field.name, [])


SUBJECTS = [f"{FULL}/subjects/{subject}" for subject in ("ann", "bob", "-", "nobody")]
AN_OPERATION = "operations/" + "0" * 32
A_FACE = f"{FULL}/subjects/ann/faces/some"
PROFILES = ["profiles/unit", "profiles/unit@1", "profiles/sface"]


def _matrix(rows: int, values: list[float]) -> face.EmbeddingMatrix:
    return matrix(np.resize(np.array([*values, 1.0], np.float32), (rows, DIMENSION)))


vectors = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=DIMENSION)
messages = Messages(
    texts,
    whole={
        "ersgallery.v1.Embedding": st.builds(
            lambda values, model: embedding(np.resize(np.array(values, np.float32), DIMENSION), model),
            vectors,
            st.sampled_from(["", MODEL]),
        ),
        "ersgallery.v1.EmbeddingMatrix": st.builds(_matrix, st.integers(1, 5), vectors),
        "ersgallery.v1.LabelledEmbeddings": st.builds(
            lambda rows, values: calibration.LabelledEmbeddings(
                embeddings=_matrix(rows, values), subjects=["ann", "bob", "ann", "eve", "bob"][:rows]
            ),
            st.integers(1, 5),
            vectors,
        ),
        "ersgallery.v1.Profile": st.builds(
            lambda gamma, row: recognizability.Profile(model=MODEL, centroids=matrix([axis(row)]), gamma=gamma),
            st.floats(0, 1),
            st.integers(0, DIMENSION - 1),
        ),
    },
    rare=frozenset({"image"}),
)


def call(server: RunningServer, method: MethodDescriptor, requests: Sequence[bytes]) -> list[Message]:
    """Send serialized requests, one or a stream of them; raises grpc.RpcError."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    decode = GetMessageClass(method.output_type).FromString
    channel: Any = server.channel  # its types do not know requests that are serialized already
    if not method.client_streaming:
        (request,) = requests
        return [channel.unary_unary(path, None, decode)(request, timeout=TIMEOUT_S)]
    return list(channel.stream_stream(path, None, decode)(iter(requests), timeout=TIMEOUT_S))


def statuses(message: Message) -> Iterator[status_pb2.Status]:
    """Yield the errors of single items inside an answer."""
    if isinstance(message, status_pb2.Status):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            is_map = field.message_type.GetOptions().map_entry
            parts = value.values() if is_map else value if field.is_repeated else [value]
            for part in parts:
                if isinstance(part, Message):
                    yield from statuses(part)


def check(code: int, refusal: Refusal) -> None:
    assert refusal.reason in REASONS - {"INTERNAL", "INDEX_BEHIND", "UNSPECIFIED"}, refusal
    assert refusal.message
    if code == grpc.StatusCode.INVALID_ARGUMENT.value[0]:
        assert 1 <= len(refusal.fields) <= 10, refusal


def check_answer(ask: Callable[[], list[Message]], expected: int) -> None:
    """Require one answer per request with proper errors inside it, or a proper error instead."""
    try:
        answers = ask()
    except grpc.RpcError as error:
        found: Any = error
        status = rpc_status.from_call(found)
        assert status is not None, found
        event(f"refused: {read(status).reason}")
        check(status.code, read(status))
    else:
        event("answered")
        assert len(answers) == expected
        for answer in answers:
            for status in statuses(answer):
                event(f"inside: {read(status).reason}")
                check(status.code, read(status))


@pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
@few
@given(data=st.data())
def test_any_message_has_an_answer_or_a_reason(
    server: RunningServer, method: MethodDescriptor, data: st.DataObject
) -> None:
    face_name = fill(server)
    some = st.lists(messages.of(method.input_type), min_size=1, max_size=3 if method.client_streaming else 1)
    requests = [aim(server, request, face_name).SerializeToString() for request in data.draw(some)]
    check_answer(lambda: call(server, method, requests), len(requests))


@few
@given(data=st.data())
def test_any_bytes_have_an_answer_or_are_refused_by_grpc_itself(server: RunningServer, data: st.DataObject) -> None:
    fill(server)
    method = data.draw(st.sampled_from([method for method in METHODS if not method.client_streaming]))
    sent = bytearray(data.draw(messages.of(method.input_type)).SerializeToString())
    for position, value in data.draw(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4)):
        if position < len(sent):
            sent[position] = value
    sent = sent[: data.draw(st.integers(0, len(sent)))] if data.draw(st.booleans()) else sent
    try:
        GetMessageClass(method.input_type).FromString(bytes(sent))
    except Exception:  # noqa: BLE001 - protobuf's own error is not public
        with pytest.raises(grpc.RpcError, match="deserializing"):
            call(server, method, [bytes(sent)])
    else:
        check_answer(lambda: call(server, method, [bytes(sent)]), 1)


def test_the_server_still_answers_after_all_that(server: RunningServer) -> None:
    fill(server)
    assert found(identify(server, "full", axis(1), gamma_gallery=0.0, max_candidates=1000)) != []
