"""The errors the service itself raises; storage, index, faces and models raise their own.

    ServiceError
     +- InvalidRequest         fields of the request are wrong
     +- ModelMismatch          an embedding is of another model than the gallery
     +- BatchTooLarge          more items than a call may carry
     +- PageTokenInvalid       not a token of this list
     +- ImageNotStored         no photograph is kept for a face
     +- ProfileModelMismatch   a profile of another model than the gallery's
     +- ModelNotInstalled      an image came and its model is not here
     +- NotAcquired            one photograph of a list or template gives no face
     +- Overloaded             a queue is full, or so slow that the work would be late
     +- TooManyStreams         as many streams are open as may be
     +- Unauthenticated        no token, or none that is valid
     +- PermissionDenied       the token does not permit the call
     +- RateLimited            the token's calls come too fast
     +- DeadlineExceeded       the deadline passed before the work began
     +- NotReady               the server still loads its galleries
     +- ShuttingDown           the server drains
     +- Cancelled              the caller went away before the work began
     |   +- OperationCancelled
     +- OperationNotFound      no such operation, or it has expired
     +- OperationsFull         as many operations wait or run as may
     +- DuplicateSubject       a face is similar to another subject than the one it was to be enrolled as
     +- IndexBehind            the store went ahead and a gallery's index could not follow
     +- AuditUnavailable       the audit log cannot be written

`status.py` holds the one table from all errors to statuses.
"""

from dataclasses import dataclass

_SHORTEST_RETRY_S, _LONGEST_RETRY_S = 0.1, 10.0


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field, by its path in the request."""

    field: str
    description: str


class ServiceError(Exception):
    """Base of the errors the service raises on purpose; the text is meant for the caller."""


class InvalidRequest(ServiceError):
    """Fields of the request are missing, malformed or out of range."""

    def __init__(self, *violations: Violation) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations[:3]))
        self.violations = violations

    @classmethod
    def field(cls, field: str, description: str) -> "InvalidRequest":
        """Return the error for one field."""
        return cls(Violation(field, description))


class ModelMismatch(ServiceError):
    """An embedding names another model than the gallery's."""

    def __init__(self, given: str, wanted: str) -> None:
        super().__init__(f"the embedding is of model {given!r}, the gallery of {wanted!r}; they cannot be compared")


class BatchTooLarge(ServiceError):
    """More items than one call may carry."""

    def __init__(self, what: str, count: int, limit: int) -> None:
        super().__init__(f"{count} {what} in one call; the limit is {limit}")
        self.what = what


class PageTokenInvalid(ServiceError):
    """A page token is not one that this list gave."""

    def __init__(self) -> None:
        super().__init__("page_token is not one that this list gave")


class ImageNotStored(ServiceError):
    """No photograph is kept for a face."""


class ProfileModelMismatch(ServiceError):
    """A profile belongs to another model than the gallery's."""

    def __init__(self, profile: str, model: str, wanted: str) -> None:
        super().__init__(f"profile {profile} is of model {model}, the gallery's faces of {wanted}")


class ModelNotInstalled(ServiceError):
    """An image came in and the model that would embed it is not on this server."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"model {model!r} is not installed on this server, so it takes embeddings only; "
            f"`ersgallery-server models install {model}` installs a catalogued one"
        )


class NotAcquired(ServiceError):
    """One photograph gives no face; `reason` is NO_FACE, SEVERAL_FACES or an IMAGE_* reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Overloaded(ServiceError):
    """A queue is full, or so slow that the work would be late."""

    def __init__(self, queue: str, limit: int, retry_after_s: float = 0.5) -> None:
        super().__init__(f"the queue of {queue} is full ({limit} waiting); try again later")
        self.retry_after_s = retry_after_s

    @classmethod
    def too_slow(cls, what: str, wait_s: float, limit_s: float) -> "Overloaded":
        """Return the error of what would wait longer than it may; the caller is told when that should be over."""
        error = cls(what, 0, retry_after_s=min(_LONGEST_RETRY_S, max(_SHORTEST_RETRY_S, wait_s - limit_s / 2)))
        error.args = (f"{what} would wait {wait_s:.2g} s, and may wait {max(0.0, limit_s):.2g} s; try again later",)
        return error


class TooManyStreams(ServiceError):
    """As many streams are open as the server allows."""

    def __init__(self, limit: int, retry_after_s: float = 1.0) -> None:
        super().__init__(f"{limit} streams are open, which is the limit")
        self.retry_after_s = retry_after_s


class Unauthenticated(ServiceError):
    """No token came, or one that is unknown, expired or revoked: which of these, nobody is told."""

    def __init__(self) -> None:
        super().__init__("a valid token is needed: send it as the metadata `authorization: Bearer TOKEN`")


class PermissionDenied(ServiceError):
    """The token does not permit the call; the text is the same whether what was asked for exists or not."""

    def __init__(self) -> None:
        super().__init__("the token does not permit this call, or not on what it names")


class RateLimited(ServiceError):
    """A token's calls come faster than they may."""

    def __init__(self, limit: float, retry_after_s: float) -> None:
        super().__init__(
            f"the limit is {limit:g} calls a second, in which each face of a batch counts as one; try again later"
        )
        self.retry_after_s = retry_after_s


class DeadlineExceeded(ServiceError):
    """The deadline passed while the request waited."""

    def __init__(self) -> None:
        super().__init__("the deadline passed while the request waited; nothing was done")


class NotReady(ServiceError):
    """The server still loads its galleries."""

    def __init__(self) -> None:
        super().__init__("the server loads its galleries and is not ready yet; its health says when it is")


class ShuttingDown(ServiceError):
    """The server drains."""

    def __init__(self) -> None:
        super().__init__("the server is shutting down")


class Cancelled(ServiceError):
    """The caller went away before the work began."""

    def __init__(self) -> None:
        super().__init__("the call was cancelled")


class OperationCancelled(Cancelled):
    """An operation was asked to end before it was done."""

    def __init__(self) -> None:
        ServiceError.__init__(self, "the operation was cancelled")


class OperationNotFound(ServiceError):
    """No such operation: it has expired, was deleted, or belongs to an earlier run of the server."""

    def __init__(self, operation_id: str) -> None:
        super().__init__(
            f"there is no operation {operation_id!r}; operations end with the server and expire after an hour"
        )


class OperationsFull(ServiceError):
    """As many operations wait or run as the server allows."""

    def __init__(self, limit: int, retry_after_s: float = 10.0) -> None:
        super().__init__(f"{limit} operations wait or run, which is the limit; try again later, or cancel one")
        self.retry_after_s = retry_after_s


class DuplicateSubject(ServiceError):
    """A recognizable face is similar to another subject than the one it was to be enrolled as; nothing is stored.

    gallery_id, subject_id: the other subject.
    """

    def __init__(self, gallery_id: str, subject_id: str, similarity: float, threshold: float) -> None:
        super().__init__(
            f"a face is similar to subject {subject_id!r}: {similarity:.3f}, and this gallery refuses from "
            f"{threshold:.3f} on; enrol it as that subject, or change the gallery's duplicate_check"
        )
        self.gallery_id, self.subject_id = gallery_id, subject_id
        self.similarity, self.threshold = similarity, threshold


class IndexBehind(ServiceError):
    """A gallery's index could not follow the store; what it would take to search is in the log and the text."""

    def __init__(self, outcome: str, gallery_id: str) -> None:
        super().__init__(
            f"{outcome}: the index of gallery {gallery_id!r} could not follow what is stored; updating the gallery or "
            "restarting the server builds it anew, and the server's log has more"
        )

    @classmethod
    def after_commit(cls, gallery_id: str) -> "IndexBehind":
        """Return the error of a change that is durable and that no search knows of."""
        return cls("the change is stored, but searches do not know of it", gallery_id)

    @classmethod
    def before_commit(cls, gallery_id: str) -> "IndexBehind":
        """Return the error of a change that would be scored under settings that are no longer the gallery's."""
        return cls("nothing was stored", gallery_id)


class AuditUnavailable(ServiceError):
    """The audit log cannot be written, its disk being full for instance; nothing was done."""

    def __init__(self) -> None:
        super().__init__(
            "nothing was done: what is done here must be written down, and the audit log cannot be written"
        )
