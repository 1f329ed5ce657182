"""How a status from the wire becomes one of the client's errors: one table of reasons, one of gRPC codes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

import grpc
from google.protobuf import message as protobuf_message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from ersgallery_client import errors
from ersgallery_client.errors import FieldViolation, GalleryError
from ersgallery_client.transport_texts import error_from_text

DOMAIN: Final = "ersgallery"

BY_REASON: Final[Mapping[str, type[GalleryError]]] = MappingProxyType(
    {
        "INVALID_REQUEST": errors.InvalidRequest,
        "INVALID_EMBEDDING": errors.InvalidEmbedding,
        "MODEL_MISMATCH": errors.ModelMismatch,
        "IMAGE_CORRUPT": errors.ImageCorrupt,
        "IMAGE_TOO_LARGE": errors.ImageTooLarge,
        "IMAGE_FORMAT_UNSUPPORTED": errors.ImageFormatUnsupported,
        "NO_FACE": errors.NoFace,
        "SEVERAL_FACES": errors.SeveralFaces,
        "BATCH_TOO_LARGE": errors.BatchTooLarge,
        "PAGE_TOKEN_INVALID": errors.PageTokenInvalid,
        "GALLERY_NOT_FOUND": errors.GalleryNotFound,
        "SUBJECT_NOT_FOUND": errors.SubjectNotFound,
        "FACE_NOT_FOUND": errors.FaceNotFound,
        "PROFILE_NOT_FOUND": errors.ProfileNotFound,
        "IMAGE_NOT_STORED": errors.ImageNotStored,
        "OPERATION_NOT_FOUND": errors.OperationNotFound,
        "GALLERY_EXISTS": errors.GalleryExists,
        "SUBJECT_EXISTS": errors.SubjectExists,
        "REQUEST_ID_REUSED": errors.RequestIdReused,
        "DUPLICATE_SUBJECT": errors.DuplicateSubject,
        "ETAG_MISMATCH": errors.EtagMismatch,
        "PROFILE_MODEL_MISMATCH": errors.ProfileModelMismatch,
        "MODEL_NOT_INSTALLED": errors.ModelNotInstalled,
        "DEVICE_FULL": errors.DeviceFull,
        "TOO_MANY_GALLERIES": errors.TooManyGalleries,
        "GALLERY_FULL": errors.GalleryFull,
        "CALIBRATION_FAILED": errors.CalibrationFailed,
        "OVERLOADED": errors.Overloaded,
        "TOO_MANY_STREAMS": errors.TooManyStreams,
        "OPERATIONS_FULL": errors.OperationsFull,
        "RATE_LIMITED": errors.RateLimited,
        "UNAUTHENTICATED": errors.Unauthenticated,
        "PERMISSION_DENIED": errors.PermissionDenied,
        "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
        "NOT_READY": errors.NotReady,
        "SHUTTING_DOWN": errors.ShuttingDown,
        "STORE_UNAVAILABLE": errors.StoreUnavailable,
        "NOT_OWNER": errors.NotOwner,
        "INTERNAL": errors.ServerFault,
        "INDEX_BEHIND": errors.IndexBehind,
        "AUDIT_UNAVAILABLE": errors.AuditUnavailable,
        "CANCELLED": errors.Cancelled,
    }
)

BY_CODE: Final[Mapping[str, type[GalleryError]]] = MappingProxyType(
    {
        "CANCELLED": errors.Cancelled,
        "UNKNOWN": errors.ServerFault,
        "INVALID_ARGUMENT": errors.InvalidRequest,
        "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
        "NOT_FOUND": errors.NotFound,
        "ALREADY_EXISTS": errors.Conflict,
        "PERMISSION_DENIED": errors.AccessDenied,
        "RESOURCE_EXHAUSTED": errors.ResourceExhausted,
        "FAILED_PRECONDITION": errors.FailedPrecondition,
        "ABORTED": errors.Conflict,
        "OUT_OF_RANGE": errors.InvalidRequest,
        "UNIMPLEMENTED": errors.UnexpectedAnswer,
        "INTERNAL": errors.ServerFault,
        "UNAVAILABLE": errors.ServerUnreachable,
        "DATA_LOSS": errors.ServerFault,
        "UNAUTHENTICATED": errors.AccessDenied,
    }
)


def error_from_rpc(error: grpc.RpcError) -> GalleryError:
    """Return the client's error for a failed call, of the sync or the asyncio API."""
    try:
        status = rpc_status.from_call(cast("grpc.Call", error))
    except (ValueError, protobuf_message.DecodeError):
        # The details contradict the status or are not a Status: trust the status alone.
        status = None
    if status is not None:
        return error_from_status(status)
    code, text = error.code().name, error.details() or ""
    return error_from_text(code, text) or BY_CODE.get(code, errors.ServerFault)(text or code, code=code)


def error_from_status(status: Status) -> GalleryError:
    """Return the client's error for a google.rpc.Status, whether of a call or of one item."""
    code = Code.Name(status.code) if status.code in Code.values() else "UNKNOWN"
    reason, metadata = _error_info(status)
    kind = BY_REASON.get(reason) or BY_CODE.get(code, errors.ServerFault)
    return kind(
        status.message or reason or code,
        reason=reason,
        code=code,
        violations=_violations(status),
        retry_after_s=_retry_after_s(status),
        metadata=metadata,
    )


def _error_info(status: Status) -> tuple[str, dict[str, str]]:
    info = ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info) and info.domain == DOMAIN:
            return info.reason, dict(info.metadata)
    return "", {}


def _violations(status: Status) -> tuple[FieldViolation, ...]:
    bad_request = BadRequest()
    return tuple(
        FieldViolation(violation.field, violation.description)
        for detail in status.details
        if detail.Unpack(bad_request)
        for violation in bad_request.field_violations
    )


def _retry_after_s(status: Status) -> float | None:
    retry = RetryInfo()
    for detail in status.details:
        if detail.Unpack(retry):
            return retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return None
