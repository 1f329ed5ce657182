"""What a request and its answer say for the audit log: names, revisions and counts, and nothing of what they carry."""

from collections import Counter
from typing import Any

from ersgallery.v1 import enrollment_service_pb2 as enrollment
from ersgallery.v1 import identification_service_pb2 as identification
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

OK = "OK"
MAX_CHARACTERS = 512
"""A name in a refused request may be as long as the request."""

_NAMED = ("name", "gallery", "subject", "face", "profile", "parent")
_CHOSEN_IDS = ("gallery_id", "subject_id", "profile_id")


def request_entry(request: Any) -> dict[str, Any]:
    """Return the resource of a request, the id it chooses for a new one, and its request_id, where there are any."""
    entry: dict[str, Any] = {"resource": _resource(request)}
    for field in (*_CHOSEN_IDS, "request_id"):
        if isinstance(text := getattr(request, field, None), str) and text:
            entry[field] = _cut(text)
    return entry


def answer_entry(answer: Any) -> dict[str, Any]:
    """Return the revision of an answer and what it counts, as far as there is any."""
    entry: dict[str, Any] = {}
    if isinstance(name := getattr(answer, "operation", None), Message):
        entry["operation"] = _cut(getattr(name, "name", ""))
    if type(answer).__name__.startswith("Create"):
        entry["created"] = _resource(answer)
    revision = getattr(answer, "revision", 0) or getattr(getattr(answer, "applied", None), "revision", 0)
    if revision:
        entry["revision"] = revision
    if counts := {key: count for key, count in _counts(answer).items() if count}:
        entry["counts"] = counts
    return entry


def reason_of(status: status_pb2.Status) -> str:
    """Return the reason in a status that the server made."""
    info = error_details_pb2.ErrorInfo()
    return info.reason if any(detail.Unpack(info) for detail in status.details) else "INTERNAL"


def _resource(request: Any) -> str:
    for field in _NAMED:
        value = getattr(request, field, None)
        text = value if isinstance(value, str) else getattr(value, "name", "")
        if isinstance(text, str) and text:
            return _cut(text)
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "..."


def _counts(answer: Any) -> dict[str, int]:
    if isinstance(answer, enrollment.EnrollFacesResponse):
        return Counter(_enrolled(outcome) for outcome in answer.outcomes)
    if isinstance(answer, identification.IdentifyResponse):
        return {identification.Decision.Name(answer.identification.decision): 1}
    if isinstance(answer, identification.VerifyResponse):
        return {identification.Decision.Name(answer.decision): 1}
    if isinstance(answer, identification.BatchIdentifyResponse):
        return _decided(answer)
    counted = ("deleted_subjects", "deleted_faces", "deleted_images")
    erasure = getattr(answer, "erasure", answer)
    return {name: int(getattr(erasure, name, 0)) for name in counted}


def _enrolled(outcome: enrollment.EnrollmentOutcome) -> str:
    if outcome.HasField("error"):
        return reason_of(outcome.error)
    return enrollment.Disposition.Name(outcome.result.disposition)


def _decided(answer: identification.BatchIdentifyResponse) -> dict[str, int]:
    name = identification.Decision.Name
    if answer.HasField("columns"):
        decisions, errors = answer.columns.decisions, answer.columns.errors
        numbers = Counter(decisions)  # names are looked up once for each, not once for each of thousands of probes
        numbers.subtract(decisions[i] for i in errors)
        named = Counter({name(number): count for number, count in numbers.items()})
        return named + Counter(reason_of(error) for error in errors.values())
    return Counter(
        reason_of(each.error) if each.HasField("error") else name(each.identification.decision)
        for each in answer.outcomes.outcomes
    )
