"""Calls that add faces to a gallery."""

import uuid
from collections.abc import Sequence

from ersgallery.v1 import enrollment_service_pb2 as pb

from ersgallery_client import rpcs
from ersgallery_client.batching import Batcher
from ersgallery_client.call import Call, Stream, call, serialize, stream
from ersgallery_client.options import Limits
from ersgallery_client.surface import Calls, Unary
from ersgallery_client.values.enrollment import EnrollmentBatch
from ersgallery_client.values.inputs import Enrollment
from ersgallery_client.wire.enrollment import read_batch, read_streamed_batch
from ersgallery_client.wire.inputs import write_enrollment
from ersgallery_client.wire.names import gallery_name


class EnrollmentCalls(Calls):
    """Enrolment of one batch; streams are with the clients."""

    @Unary
    def enroll(
        self, gallery: str, items: Sequence[Enrollment], *, request_id: str | None = None
    ) -> Call[EnrollmentBatch]:
        """Enrol up to 1,000 faces as one batch that is stored as a whole; for more there is enroll_stream.

        Once answered, the faces are stored and, unless LOW_ERS or REJECTED, searchable. request_id: 1 to 128
        characters; the same request_id with the same items changes nothing and gets the first answer. None: a new one,
        so that the client itself may repeat the call. Raises GalleryNotFound, BatchTooLarge, MessageTooLarge,
        RequestIdReused, ModelNotInstalled, Overloaded.
        """
        request = pb.EnrollFacesRequest(
            parent=gallery_name(gallery),
            request_id=request_id or str(uuid.uuid4()),
            enrollments=map(write_enrollment, items),
        )
        return call(rpcs.ENROLL_FACES, request, read_batch)


def enrollment_stream(window: int) -> Stream[EnrollmentBatch]:
    """Describe the stream of enroll_stream."""
    return stream(rpcs.STREAM_ENROLL_FACES, read_streamed_batch, window)


class EnrollmentEncoder:
    """Makes the messages of enroll_stream from items: numbered batches, each with a request_id of its own.

    The same prefix, items and limits give the same batches and request_ids.
    """

    def __init__(self, gallery: str, limits: Limits, batch_size: int | None, request_id: str | None) -> None:
        self._parent = gallery_name(gallery)
        self._limits = limits
        self._prefix = request_id or str(uuid.uuid4())
        self._batcher: Batcher[pb.Enrollment] = Batcher(limits, batch_size or limits.max_faces, _faces)
        self._sequence = 0

    def add(self, item: Enrollment) -> bytes | None:
        """Take an item and return the message that it ended, if it did; raises MessageTooLarge, InvalidEmbedding."""
        return self._message(self._batcher.add(write_enrollment(item)))

    def rest(self) -> bytes | None:
        """Return the last message, if something is left."""
        return self._message(self._batcher.rest())

    def _message(self, batch: list[pb.Enrollment]) -> bytes | None:
        if not batch:
            return None
        message = pb.StreamEnrollFacesRequest(
            sequence=self._sequence,
            batch=pb.EnrollFacesRequest(
                parent=self._parent, request_id=f"{self._prefix}-{self._sequence}", enrollments=batch
            ),
        )
        self._sequence += 1
        return serialize(message, self._limits)


def _faces(enrollment: pb.Enrollment) -> int:
    return max(1, len(enrollment.template.members)) if enrollment.HasField("template") else 1
