"""Calls about subjects."""

from collections.abc import Mapping

from ersgallery.v1 import gallery_pb2
from ersgallery.v1 import gallery_service_pb2 as pb

from ersgallery_client import rpcs
from ersgallery_client.call import Call, Page, Paging, call
from ersgallery_client.calls.masks import given, mask
from ersgallery_client.surface import Calls, Paged, Unary
from ersgallery_client.values.erasure import Erasure
from ersgallery_client.values.galleries import Subject
from ersgallery_client.values.policies import UNSET, Unset
from ersgallery_client.wire.erasure import read_erasure
from ersgallery_client.wire.galleries import read_subject
from ersgallery_client.wire.names import gallery_name, subject_name


class SubjectCalls(Calls):
    """Subjects: create, get, list, update, delete."""

    @Unary
    def create_subject(
        self,
        gallery: str,
        subject: str = "",
        *,
        display_name: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> Call[Subject]:
        """Make a subject without faces; enrolment makes subjects by itself.

        subject: its id, 1 to 128 characters without "/"; empty: the server gives one. metadata: never biometric data.
        Raises SubjectExists, GalleryNotFound, InvalidRequest.
        """
        request = pb.CreateSubjectRequest(
            parent=gallery_name(gallery),
            subject_id=subject,
            subject=gallery_pb2.Subject(display_name=display_name, metadata=metadata),
        )
        return call(rpcs.CREATE_SUBJECT, request, lambda answer: read_subject(answer.subject))

    @Unary
    def get_subject(self, gallery: str, subject: str) -> Call[Subject]:
        """Return a subject with its counts. Raises SubjectNotFound, GalleryNotFound."""
        request = pb.GetSubjectRequest(name=subject_name(gallery, subject))
        return call(rpcs.GET_SUBJECT, request, lambda answer: read_subject(answer.subject))

    @Paged
    def list_subjects(self, gallery: str, *, page_size: int = 0) -> Paging[Subject]:
        """Iterate the subjects of a gallery, fetching page_size at a time (1 to 1,000; 0: 50)."""

        def page(token: str) -> Call[Page[Subject]]:
            request = pb.ListSubjectsRequest(parent=gallery_name(gallery), page_size=page_size, page_token=token)
            return call(
                rpcs.LIST_SUBJECTS,
                request,
                lambda answer: Page(tuple(map(read_subject, answer.subjects)), answer.next_page_token),
            )

        return Paging(page)

    @Unary
    def update_subject(
        self,
        gallery: str,
        subject: str,
        *,
        display_name: str | Unset = UNSET,
        metadata: Mapping[str, str] | Unset = UNSET,
        etag: str = "",
    ) -> Call[Subject]:
        """Change the display name, or replace the metadata. etag: where given, must be the present one.

        Raises SubjectNotFound, EtagMismatch, InvalidRequest; ValueError where nothing is given.
        """
        fields = given({"display_name": display_name, "metadata": metadata})
        changed = gallery_pb2.Subject(name=subject_name(gallery, subject), etag=etag, **fields)
        request = pb.UpdateSubjectRequest(subject=changed, update_mask=mask(fields))
        return call(rpcs.UPDATE_SUBJECT, request, lambda answer: read_subject(answer.subject))

    @Unary
    def delete_subject(self, gallery: str, subject: str) -> Call[Erasure]:
        """Delete a subject with its faces and photographs; return the receipt. Raises SubjectNotFound."""
        request = pb.DeleteSubjectRequest(name=subject_name(gallery, subject))
        return call(rpcs.DELETE_SUBJECT, request, lambda answer: read_erasure(answer.erasure, answer.revision))
