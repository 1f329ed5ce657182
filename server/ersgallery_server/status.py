"""The one table from errors to statuses: a code, a stable reason, and the details the code promises."""

from collections.abc import Mapping

import grpc
import structlog
from ersgallery_index import DeviceFull, InvalidEmbedding, InvalidPolicy, InvalidProfile
from ersgallery_index.errors import CalibrationFailed
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from ersgallery_server import errors
from ersgallery_server import store as stored

DOMAIN = "ersgallery"
MAX_VIOLATIONS = 10
# Trailers are small: callers take 8 KiB. A byte of the message may be four there, and one of the details two.
MAX_MESSAGE_BYTES = 512
MAX_FIELD_BYTES = 96
MAX_DESCRIPTION_BYTES = 224

Code = grpc.StatusCode

REASONS: dict[type[Exception], tuple[Code, str]] = {
    errors.InvalidRequest: (Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
    InvalidPolicy: (Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
    InvalidProfile: (Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
    InvalidEmbedding: (Code.INVALID_ARGUMENT, "INVALID_EMBEDDING"),
    errors.ModelMismatch: (Code.INVALID_ARGUMENT, "MODEL_MISMATCH"),
    errors.BatchTooLarge: (Code.INVALID_ARGUMENT, "BATCH_TOO_LARGE"),
    errors.PageTokenInvalid: (Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"),
    stored.PageKeyInvalid: (Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"),
    stored.GalleryNotFound: (Code.NOT_FOUND, "GALLERY_NOT_FOUND"),
    stored.SubjectNotFound: (Code.NOT_FOUND, "SUBJECT_NOT_FOUND"),
    stored.FaceNotFound: (Code.NOT_FOUND, "FACE_NOT_FOUND"),
    stored.ProfileNotFound: (Code.NOT_FOUND, "PROFILE_NOT_FOUND"),
    errors.ImageNotStored: (Code.NOT_FOUND, "IMAGE_NOT_STORED"),
    stored.GalleryExists: (Code.ALREADY_EXISTS, "GALLERY_EXISTS"),
    stored.SubjectExists: (Code.ALREADY_EXISTS, "SUBJECT_EXISTS"),
    stored.RequestIdReused: (Code.ALREADY_EXISTS, "REQUEST_ID_REUSED"),
    stored.VersionMismatch: (Code.ABORTED, "ETAG_MISMATCH"),
    errors.ProfileModelMismatch: (Code.FAILED_PRECONDITION, "PROFILE_MODEL_MISMATCH"),
    errors.ModelNotInstalled: (Code.FAILED_PRECONDITION, "MODEL_NOT_INSTALLED"),
    errors.Overloaded: (Code.RESOURCE_EXHAUSTED, "OVERLOADED"),
    stored.StoreOverloaded: (Code.RESOURCE_EXHAUSTED, "OVERLOADED"),
    stored.TooManyGalleries: (Code.RESOURCE_EXHAUSTED, "TOO_MANY_GALLERIES"),
    stored.GalleryFull: (Code.RESOURCE_EXHAUSTED, "GALLERY_FULL"),
    DeviceFull: (Code.RESOURCE_EXHAUSTED, "DEVICE_FULL"),
    errors.TooManyStreams: (Code.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS"),
    errors.Unauthenticated: (Code.UNAUTHENTICATED, "UNAUTHENTICATED"),
    errors.PermissionDenied: (Code.PERMISSION_DENIED, "PERMISSION_DENIED"),
    errors.RateLimited: (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
    errors.DeadlineExceeded: (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    errors.NotReady: (Code.UNAVAILABLE, "NOT_READY"),
    errors.ShuttingDown: (Code.UNAVAILABLE, "SHUTTING_DOWN"),
    stored.StoreClosed: (Code.UNAVAILABLE, "SHUTTING_DOWN"),
    stored.NotOwner: (Code.UNAVAILABLE, "NOT_OWNER"),
    stored.StoreUnavailable: (Code.UNAVAILABLE, "STORE_UNAVAILABLE"),
    errors.Cancelled: (Code.CANCELLED, "CANCELLED"),
    errors.OperationNotFound: (Code.NOT_FOUND, "OPERATION_NOT_FOUND"),
    errors.OperationsFull: (Code.RESOURCE_EXHAUSTED, "OPERATIONS_FULL"),
    CalibrationFailed: (Code.FAILED_PRECONDITION, "CALIBRATION_FAILED"),
    errors.DuplicateSubject: (Code.ALREADY_EXISTS, "DUPLICATE_SUBJECT"),
    errors.IndexBehind: (Code.INTERNAL, "INDEX_BEHIND"),
    errors.AuditUnavailable: (Code.UNAVAILABLE, "AUDIT_UNAVAILABLE"),
}
"""Errors with a fixed reason; a subclass that is not listed has its nearest base's. NotAcquired names its own."""

UNEXPECTED = (Code.INTERNAL, "INTERNAL")
"""What an error that is not in the table is told as."""

FIELDS: dict[type[Exception], str] = {
    InvalidProfile: "profile",
    InvalidEmbedding: "embedding",
    errors.ModelMismatch: "model",
    errors.PageTokenInvalid: "page_token",
    stored.PageKeyInvalid: "page_token",
    errors.NotAcquired: "image",
}
"""The field of those invalid arguments that know of one field and do not name it themselves."""

HANDLED_INSIDE: frozenset[type[Exception]] = frozenset(
    {
        stored.ProfileChanged,
        stored.GalleryMoved,
        stored.StoreUnusable,
        stored.UrlUnsupported,
        stored.SchemaUnknown,
        stored.SchemaOutdated,
        stored.DatabaseOwned,
        stored.TokenExists,
        stored.TokenNotFound,
    }
)
"""Errors that never reach a caller: retried by the gallery, or raised before the server serves."""

_PASSING = (
    errors.Overloaded,
    errors.TooManyStreams,
    errors.OperationsFull,
    errors.RateLimited,
    stored.StoreOverloaded,
)
"""Errors that say when to come again."""

log = structlog.get_logger(__name__)


def classify(error: Exception) -> tuple[Code, str]:
    """Return the code and the reason of an error."""
    if isinstance(error, errors.NotAcquired):
        return Code.INVALID_ARGUMENT, error.reason
    return next((REASONS[kind] for kind in type(error).__mro__ if kind in REASONS), UNEXPECTED)


def to_status(error: Exception) -> status_pb2.Status:
    """Return the status of an error; one that is not in the table is INTERNAL, with its text in the log alone."""
    code, reason = classify(error)
    if (code, reason) == UNEXPECTED:
        log.error("unexpected error", exc_info=error)
        return _status(code, reason, "an internal error; the server's log has more")
    return _status(code, reason, str(error), *_details(error), metadata=_metadata(error))


def _metadata(error: Exception) -> dict[str, str]:
    if isinstance(error, CalibrationFailed):
        return {"calibration_reason": error.reason}
    if isinstance(error, errors.DuplicateSubject):
        return {
            "subject": f"galleries/{error.gallery_id}/subjects/{error.subject_id}",
            "similarity": repr(error.similarity),
            "threshold": repr(error.threshold),
        }
    return {}


def _details(error: Exception) -> list[Message]:
    if isinstance(error, _PASSING):
        return [_retry_info(getattr(error, "retry_after_s", 0.5))]
    violations = _violations(error)
    return [_bad_request(violations)] if violations else []


def _violations(error: Exception) -> list[tuple[str, str]]:
    """Return (field, description) of an invalid argument, nothing for another error."""
    if isinstance(error, errors.InvalidRequest):
        return [(violation.field, violation.description) for violation in error.violations]
    if isinstance(error, InvalidPolicy):
        return [(error.field, error.problem)]
    if isinstance(error, errors.BatchTooLarge):
        return [(error.what, str(error))]
    field = FIELDS.get(type(error))
    return [] if field is None else [(field, str(error))]


def _bad_request(violations: list[tuple[str, str]]) -> error_details_pb2.BadRequest:
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=_cut(field, MAX_FIELD_BYTES), description=_cut(description, MAX_DESCRIPTION_BYTES)
            )
            for field, description in violations[:MAX_VIOLATIONS]
        ]
    )


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore")


def _retry_info(after_s: float) -> error_details_pb2.RetryInfo:
    return error_details_pb2.RetryInfo(
        retry_delay=duration_pb2.Duration(seconds=int(after_s), nanos=int(after_s % 1 * 1e9))
    )


def _status(
    code: Code, reason: str, text: str, *details: Message, metadata: Mapping[str, str] | None = None
) -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=_cut(text, MAX_MESSAGE_BYTES))
    for detail in (error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata), *details):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
