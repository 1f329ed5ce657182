"""What an answer and a refusal must be like, whatever was asked."""

from collections.abc import Iterator
from typing import Any

import grpc
from ersgallery.v1 import errors_pb2
from ersgallery_server.status import MAX_MESSAGE_BYTES, MAX_VIOLATIONS
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status

from tests.fuzz.canary import GALLERY
from tests.fuzz.case import Finding
from tests.fuzz.world import PHOTOS, SETS
from tests.support.statuses import Refusal, read

FAULTS = frozenset({"INTERNAL", "INDEX_BEHIND", "UNSPECIFIED"})
REASONS = frozenset(name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()) - FAULTS  # noqa: SIM118

Code = grpc.StatusCode
_CHANGES = ("Create", "Update", "Delete", "Enroll", "Calibrate", "Cancel")

# What gRPC itself answers, by code and words: nothing of the service was reached.
_OF_GRPC = (
    (Code.RESOURCE_EXHAUSTED, "larger than max"),
    (Code.RESOURCE_EXHAUSTED, "metadata size exceeds"),
    (Code.UNIMPLEMENTED, ""),
    (Code.CANCELLED, ""),
)
_OF_GRPCS_SERVICES = ((Code.INTERNAL, "Exception deserializing request"), (Code.NOT_FOUND, ""))


def judge_refusal(method: str, error: Any, *, in_time: bool, ours: bool) -> str:
    """Return the reason of an error; raises Finding for one that tells of a fault or lacks what every error has.

    in_time: the call had all the time there is, so that a passed deadline is a hang.
    """
    if error.code() is Code.DEADLINE_EXCEEDED:
        if in_time:
            raise Finding(f"{method} hangs: {error.details()}")
        return "DEADLINE_EXCEEDED"
    try:
        status = rpc_status.from_call(error)
    except ValueError as problem:
        raise Finding(f"{method}: a status that contradicts itself: {problem}") from error
    if status is None or not status.details:
        known = _OF_GRPC if ours else (*_OF_GRPC, *_OF_GRPCS_SERVICES)
        if not any(error.code() is code and words in (error.details() or "") for code, words in known):
            raise Finding(f"{method}: {error.code()} without a reason: {error.details()}")
        return str(error.code().name)
    return judge_status(method, status)


def judge_status(method: str, status: status_pb2.Status) -> str:
    """Return the reason of a status; raises Finding."""
    refusal: Refusal = read(status)
    if refusal.reason not in REASONS:
        raise Finding(f"{method}: the reason {refusal.reason!r}: {refusal}")
    if not refusal.message or len(refusal.message.encode()) > MAX_MESSAGE_BYTES:
        raise Finding(f"{method}: a message of {len(refusal.message)} characters with {refusal.reason}")
    if status.code == Code.INVALID_ARGUMENT.value[0] and not 1 <= len(refusal.fields) <= MAX_VIOLATIONS:
        raise Finding(f"{method}: an invalid argument with {len(refusal.fields)} fields: {refusal}")
    if refusal.retry_after_s is not None and not 0 <= refusal.retry_after_s < 3600:
        raise Finding(f"{method}: come again in {refusal.retry_after_s} s")
    return refusal.reason


def judge_answer(method: str, answer: Message) -> None:
    """Judge the errors of single items inside an answer; raises Finding."""
    for status in statuses(answer):
        judge_status(method, status)


def judge_for_guest(method: str, answer: bytes) -> None:
    """Raise Finding for an answer to somebody who may only read, and search, the gallery `full`."""
    if method.rpartition(".")[2].startswith(_CHANGES):
        raise Finding(f"{method} answers somebody who may not change anything")
    if any(f"galleries/{name}".encode() in answer for name in (SETS, PHOTOS, GALLERY)):
        raise Finding(f"{method} names a gallery to somebody who may not know of it")


def statuses(message: Message) -> Iterator[status_pb2.Status]:
    """Yield every status inside a message."""
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
