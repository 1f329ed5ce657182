"""Every error a call can raise, built from the service's stable reasons and never from its texts.

    GalleryError
     +- InvalidRequest                  INVALID_REQUEST: a field is missing, malformed or out of range
     |   +- InvalidEmbedding            a wrong dimension, NaN, Inf or no length
     |   +- ModelMismatch               an embedding of another model than the gallery's
     |   +- InvalidImage
     |   |   +- ImageCorrupt
     |   |   +- ImageTooLarge
     |   |   +- ImageFormatUnsupported
     |   |   +- NoFace                  only for one item of a list or template
     |   |   +- SeveralFaces            only for one item of a list or template
     |   +- BatchTooLarge
     |   +- MessageTooLarge             for the client, found before it sends, or for the server
     |   +- PageTokenInvalid
     +- NotFound
     |   +- GalleryNotFound
     |   +- SubjectNotFound
     |   +- FaceNotFound
     |   +- ProfileNotFound
     |   +- ImageNotStored
     |   +- OperationNotFound
     +- Conflict
     |   +- GalleryExists
     |   +- SubjectExists
     |   +- RequestIdReused
     |   +- DuplicateSubject            only for one item of an enrolment
     |   +- EtagMismatch
     +- FailedPrecondition
     |   +- ProfileModelMismatch
     |   +- ModelNotInstalled
     |   +- DeviceFull
     |   +- TooManyGalleries
     |   +- GalleryFull
     |   +- CalibrationFailed           the faces yield no threshold or profile
     +- Unavailable                     come again later; calls that may be repeated were repeated already
     |   +- ServerUnreachable           nobody answers at the address
     |   |   +- HandshakeFailed         TLS on one side alone, or a certificate that is not accepted
     |   +- NotReady                    the server still loads its galleries
     |   +- ShuttingDown
     |   +- StoreUnavailable
     |   +- NotOwner                    another server has taken over the database
     |   +- AuditUnavailable            what is done must be written down, and the server cannot
     |   +- ResourceExhausted
     |       +- Overloaded
     |       +- TooManyStreams
     |       +- OperationsFull
     |       +- RateLimited             the token's calls come faster than they may
     +- DeadlineExceeded
     +- Cancelled
     +- AccessDenied
     |   +- Unauthenticated             no token, or none that is valid
     |   +- PermissionDenied            the token does not permit this, whether what was named exists or not
     +- ServerFault                     INTERNAL: the server's log has more
     |   +- IndexBehind                 stored, but searches do not know of it until the index is built anew
     |   +- UnexpectedAnswer            the server breaks the contract, or is of another version
     +- ClientClosed                    the client was used after close()

No grpc.RpcError leaves the client. A reason newer than this client gives the class of its gRPC code and keeps `reason`.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of the request and what is wrong with it."""

    field: str
    description: str


class GalleryError(Exception):
    """Base of every error a call raises.

    message: one sentence for people.
    reason: the service's stable reason, such as `GALLERY_NOT_FOUND`; empty where the service gave none.
    code: the name of the gRPC status, such as `NOT_FOUND`; empty where the client itself found the fault.
    violations: what is wrong with which field, at most ten.
    retry_after_s: when the server wants to be asked again.
    metadata: further facts of the service, such as the limit that was exceeded.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        code: str = "",
        violations: tuple[FieldViolation, ...] = (),
        retry_after_s: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.code = code
        self.violations = violations
        self.retry_after_s = retry_after_s
        self.metadata = dict(metadata or {})


class InvalidRequest(GalleryError):
    """The request itself is wrong; mend it before sending it again."""


class InvalidEmbedding(InvalidRequest):
    """An embedding has a wrong dimension, NaN, Inf or no length."""


class ModelMismatch(InvalidRequest):
    """An embedding comes from another model than the gallery's."""


class InvalidImage(InvalidRequest):
    """A photograph cannot be used."""


class ImageCorrupt(InvalidImage):
    """The photograph cannot be decoded: corrupt or cut short."""


class ImageTooLarge(InvalidImage):
    """The photograph has more bytes or pixels than the server's limit."""


class ImageFormatUnsupported(InvalidImage):
    """The photograph is neither JPEG, PNG nor WebP."""


class NoFace(InvalidImage):
    """The photograph has no face."""


class SeveralFaces(InvalidImage):
    """The photograph has several faces where one is wanted."""


class BatchTooLarge(InvalidRequest):
    """One call carries more items than the service takes."""


class MessageTooLarge(InvalidRequest):
    """A message exceeds `Limits.max_message_bytes` of the client, or the server's limit; the text has both numbers.

    Send fewer items at a time, or let the server take more: `ersgallery-server serve --max-message-mib`.
    """


class PageTokenInvalid(InvalidRequest):
    """A page token was not given for this list."""


class NotFound(GalleryError):
    """What the request names does not exist."""


class GalleryNotFound(NotFound):
    """No such gallery."""


class SubjectNotFound(NotFound):
    """No such subject."""


class FaceNotFound(NotFound):
    """No such face."""


class ProfileNotFound(NotFound):
    """No such profile, or no such version of it."""


class ImageNotStored(NotFound):
    """The face is there and its photograph is not kept."""


class OperationNotFound(NotFound):
    """No such operation; it has expired, was deleted, or the server was restarted since."""


class Conflict(GalleryError):
    """The request does not fit the present state; read it again."""


class GalleryExists(Conflict):
    """A gallery of this name exists."""


class SubjectExists(Conflict):
    """A subject of this name exists."""


class RequestIdReused(Conflict):
    """The request_id was used before with another body."""


class DuplicateSubject(Conflict):
    """A face is similar to another subject, and the gallery refuses that; nothing of the item is stored.

    metadata["subject"] names the other subject, metadata["similarity"] and metadata["threshold"] say how similar.
    """


class EtagMismatch(Conflict):
    """The resource changed since its etag was read."""


class FailedPrecondition(GalleryError):
    """The server cannot do this as it is set up."""


class ProfileModelMismatch(FailedPrecondition):
    """The profile belongs to another model than the gallery's."""


class ModelNotInstalled(FailedPrecondition):
    """A photograph was sent and the gallery's model is not installed on the server."""


class DeviceFull(FailedPrecondition):
    """The memory of the server's device cannot hold more faces; waiting does not help."""


class TooManyGalleries(FailedPrecondition):
    """The server has as many galleries as it may; waiting does not help."""


class GalleryFull(FailedPrecondition):
    """The gallery would have more faces than it may; nothing of the batch was stored, and waiting does not help."""


class CalibrationFailed(FailedPrecondition):
    """The faces yield no threshold or profile; metadata["calibration_reason"] is a stable word for the cause."""


class Unavailable(GalleryError):
    """The service cannot answer now; calls that may be repeated were repeated already."""


class ServerUnreachable(Unavailable):
    """Nobody answers at the address, or the connection broke."""


class HandshakeFailed(ServerUnreachable):
    """The server is there and no connection came about, most often because of TLS; the message says what to change."""


class NotReady(Unavailable):
    """The server still loads its galleries."""


class ShuttingDown(Unavailable):
    """The server is draining."""


class StoreUnavailable(Unavailable):
    """The server's database does not answer, or its disk is full; nothing was half-written."""


class NotOwner(Unavailable):
    """Another server has taken over this server's database; this one answers nothing more."""


class AuditUnavailable(Unavailable):
    """The server's audit log cannot be written; nothing was done."""


class ResourceExhausted(Unavailable):
    """A limit of the server is reached."""


class Overloaded(ResourceExhausted):
    """The server's queue is full."""


class TooManyStreams(ResourceExhausted):
    """As many streams are open as the server allows."""


class OperationsFull(ResourceExhausted):
    """As many operations wait or run as the server allows."""


class RateLimited(ResourceExhausted):
    """The token's calls, and the faces in them, come faster than its limit."""


class DeadlineExceeded(GalleryError):
    """The timeout passed before the answer came."""


class Cancelled(GalleryError):
    """The call was cancelled, for example by close()."""


class AccessDenied(GalleryError):
    """The server does not let this caller do this."""


class Unauthenticated(AccessDenied):
    """The server needs a token, and none came, or one that is unknown, expired or revoked."""


class PermissionDenied(AccessDenied):
    """The token does not permit this call, or not on what it names; whether that exists is not told."""


class ServerFault(GalleryError):
    """The server failed; its log has more."""


class IndexBehind(ServerFault):
    """The gallery's index could not follow the store; the text says whether the change is stored."""


class UnexpectedAnswer(ServerFault):
    """The server does not keep to the contract, or speaks another version of it."""


class ClientClosed(GalleryError):
    """The client was used after close()."""
